/** For "did you mean": the known word that takes the fewest changes, where it does not take too many. */
export function nearest(given: string, known: readonly string[]): string | undefined {
  const [best] = known.map((word) => ({ word, changes: distance(given, word) })).sort((a, b) => a.changes - b.changes);
  return best !== undefined && best.changes <= 4 ? best.word : undefined;
}

/** `unknown option --limit.sries; did you mean --limit.series?` */
export function unknown(what: string, given: string, known: readonly string[]): string {
  const word = nearest(given, known);
  return `unknown ${what} ${given}${word === undefined ? '' : `; did you mean ${word}?`}`;
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
