/** A run that test/bench/tools/keep-run.ts has kept, as a block of code on a page. */
export function keptRun(text: string): string {
  return text.trimEnd().replace(/^(?=.)/gm, '    ');
}
