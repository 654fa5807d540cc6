/** The command that writes a block, which the block's first comment names. */
export type Command = 'npm run docs' | 'npm run dashboards';

/**
 * Replaces one generated block of a Markdown page. The block stands between two comments:
 *
 *   <!-- begin generated: options (by npm run docs; do not edit) -->
 *   <!-- end generated: options -->
 */
export function withGeneratedBlock(page: string, name: string, command: Command, content: string): string {
  const begin = `<!-- begin generated: ${name} (by ${command}; do not edit) -->`;
  const end = `<!-- end generated: ${name} -->`;
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no block "${begin} ... ${end}"`);
  return `${page.slice(0, from + begin.length)}\n\n${content}\n\n${page.slice(to)}`;
}
