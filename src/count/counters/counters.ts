/** Counters in typed arrays, indexed by name id. A cell costs 8 bytes and an increment about a nanosecond. */

export type Counters = Float64Array;

/** Up to 8 counters stand in the heap itself; any more are memory of their own, for some 300 bytes more. */
const FIRST_SIZE = 8;
const MORE = 16;

export function newCounters(): Counters {
  return new Float64Array(FIRST_SIZE);
}

/** `counters`, or a longer copy in which `id` has room. */
export function withRoomFor(counters: Counters, id: number): Counters {
  if (id < counters.length) return counters;
  // Not twice as long each time: there are many, and they hardly ever grow.
  const longer = new Float64Array(Math.ceil((id + 1) / MORE) * MORE);
  longer.set(counters);
  return longer;
}

/** Adds `from` to `to`; the result may be a longer array. */
export function addCounters(to: Counters, from: Counters): Counters {
  const sum = withRoomFor(to, from.length - 1);
  for (let id = 0; id < from.length; id++) sum[id] = (sum[id] as number) + (from[id] as number);
  return sum;
}

/** The larger of each pair: two views of the same events, each of which can only have missed some. */
export function maxCounters(to: Counters, from: Counters): Counters {
  const most = withRoomFor(to, from.length - 1);
  for (let id = 0; id < from.length; id++) most[id] = Math.max(most[id] as number, from[id] as number);
  return most;
}

export function sumCounters(counters: Counters): number {
  let sum = 0;
  for (const count of counters) sum += count;
  return sum;
}

export function addCount<K>(map: Map<K, number>, key: K, count: number): void {
  map.set(key, (map.get(key) ?? 0) + count);
}
