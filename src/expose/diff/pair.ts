/** A figure in two recordings; undefined where a recording does not show it. */
export interface Pair {
  readonly before: number | undefined;
  readonly after: number | undefined;
}

export type PairState = 'both' | 'new' | 'gone' | 'unknown';

export function stateOf({ before, after }: Pair): PairState {
  if (before === undefined || after === undefined) return 'unknown';
  if (before === 0 && after > 0) return 'new';
  return after === 0 && before > 0 ? 'gone' : 'both';
}

/** The relative rise: 0.1 for 10 % more, Infinity for a figure that was 0. Undefined if it is not known. */
export function riseOf({ before, after }: Pair): number | undefined {
  if (before === undefined || after === undefined) return undefined;
  return before === after ? 0 : (after - before) / before;
}

/** The difference; 0 if it is not known. */
export function differenceOf({ before = 0, after = 0 }: Pair): number {
  return after - before;
}

/** Compares so that the largest rise comes first. */
export function compareRises(a: Pair, b: Pair): number {
  return knownDifference(b) - knownDifference(a);
}

function knownDifference(pair: Pair): number {
  return stateOf(pair) === 'unknown' ? Number.MIN_SAFE_INTEGER : differenceOf(pair);
}
