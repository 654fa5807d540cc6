/** Starts shorter than this fit too many words to be a hint. */
const MIN_START = 4;
/** A longer word is no misspelt option, and comparing it takes long. */
const MAX_GIVEN = 100;

/** `unknown option --limit.sries; did you mean --limit.series?` */
export function unknownName(what: string, given: string, known: readonly string[]): string {
  const word = nearest(given, known);
  return `unknown ${what} ${given}${word === undefined ? '' : `; did you mean ${word}?`}`;
}

/**
 * The shortest known word that starts with `given`, else the one that takes the fewest edits to reach; undefined if
 * even that one differs in more than a third of the letters.
 */
function nearest(given: string, known: readonly string[]): string | undefined {
  if (given.length > MAX_GIVEN) return undefined;
  const longer = known.filter((word) => word.startsWith(given)).sort((a, b) => a.length - b.length)[0];
  if (longer !== undefined && given.length >= MIN_START) return longer;
  const [best] = known.map((word) => ({ word, edits: editDistance(given, word) })).sort((a, b) => a.edits - b.edits);
  return best !== undefined && best.edits <= Math.min(4, given.length / 3) ? best.word : undefined;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
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
