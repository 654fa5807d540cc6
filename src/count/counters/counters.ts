/** Counters by index, for example the id of a name. An increment takes about a nanosecond. */
export type Counters = Float64Array;

/**
 * V8 keeps up to 64 bytes of an array in its own heap. A longer array has a separate buffer, which costs about 300
 * bytes more.
 */
const INITIAL_LENGTH = 8;
const GROWTH = 16;

export function newCounters(): Counters {
  return new Float64Array(INITIAL_LENGTH);
}

/** `counters` if it has the index, else a longer copy. */
export function withRoomFor(counters: Counters, index: number): Counters {
  if (index < counters.length) return counters;
  // Grows by a constant and not by a factor, because there are many arrays that hardly ever grow.
  const longer = new Float64Array(Math.ceil((index + 1) / GROWTH) * GROWTH);
  longer.set(counters);
  return longer;
}

/** Adds `from` to `to`; the result may be a longer array. */
export function addCounters(to: Counters, from: Counters): Counters {
  const sum = withRoomFor(to, from.length - 1);
  for (let i = 0; i < from.length; i++) sum[i] = (sum[i] as number) + (from[i] as number);
  return sum;
}

/**
 * The larger of each pair, for two counts of the same events that can both have missed some; the result may be a longer
 * array.
 */
export function maxCounters(to: Counters, from: Counters): Counters {
  const max = withRoomFor(to, from.length - 1);
  for (let i = 0; i < from.length; i++) max[i] = Math.max(max[i] as number, from[i] as number);
  return max;
}

export function sumCounters(counters: Counters): number {
  let sum = 0;
  for (const count of counters) sum += count;
  return sum;
}

export function addCount<K>(map: Map<K, number>, key: K, count: number): void {
  map.set(key, (map.get(key) ?? 0) + count);
}
