/**
 * For "did you mean": the known word that begins with what was given, else the one that takes the fewest changes, where that is not most of the
 * word.
 */
export function nearest(given: string, known: readonly string[]): string | undefined {
  const longer = known.filter((word) => word.startsWith(given)).sort((a, b) => a.length - b.length)[0];
  if (longer !== undefined && given.length >= SHORTEST_START) return longer;
  const [best] = known.map((word) => ({ word, changes: distance(given, word) })).sort((a, b) => a.changes - b.changes);
  return best !== undefined && best.changes <= Math.min(4, given.length / 3) ? best.word : undefined;
}

/** Fewer letters are the start of too many words. */
const SHORTEST_START = 4;

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
