import type { Counters } from '../../count/counters/counters.js';
import type { Names } from '../../trace/names.js';

export interface NamedCount {
  readonly name: string;
  readonly count: number;
}

/** The counters that are not 0, under their names. */
export function namedCounts(counters: Counters, names: Names): NamedCount[] {
  const counts: NamedCount[] = [];
  for (let id = 0; id < counters.length; id++) {
    const count = counters[id] as number;
    if (count > 0) counts.push({ name: names.text(id), count });
  }
  return counts;
}
