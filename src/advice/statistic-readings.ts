import type { StatisticRow } from '../snapshot/tables/statistics/kvm-statistics.js';

/** A reading that is older than this is one of a VM whose statistics are closed by now. */
const MAX_AGE_MS = 60_000;

interface Readings {
  readonly latest: readonly StatisticRow[];
  readonly before: readonly StatisticRow[];
}

/**
 * The two latest readings of each VM's statistics. They are read every ten seconds, whatever the time between two
 * observations.
 */
export class StatisticReadings {
  #byVm: ReadonlyMap<string, Readings> = new Map();

  observe(rows: Iterable<StatisticRow>, atMs: number): void {
    const byVm = new Map<string, StatisticRow[]>();
    for (const row of rows) {
      const ofVm = byVm.get(row.vm);
      if (ofVm === undefined) byVm.set(row.vm, [row]);
      else ofVm.push(row);
    }
    const known = this.#byVm;
    this.#byVm = new Map(
      [...byVm]
        .filter(([, [row]]) => row !== undefined && atMs - row.readMs <= MAX_AGE_MS)
        .map(([vm, latest]) => [vm, next(known.get(vm), latest)]),
    );
  }

  get latest(): StatisticRow[] {
    return [...this.#byVm.values()].flatMap(({ latest }) => latest);
  }

  get before(): StatisticRow[] {
    return [...this.#byVm.values()].flatMap(({ before }) => before);
  }
}

function next(known: Readings | undefined, latest: readonly StatisticRow[]): Readings {
  if (known === undefined) return { latest, before: [] };
  return known.latest[0]?.readMs === latest[0]?.readMs ? known : { latest, before: known.latest };
}
