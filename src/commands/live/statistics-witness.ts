import type { Agent } from '../../agent/agent.js';
import type { GrowthBounds } from '../../audit/audit-recording.js';
import {
  type StatisticGrowth,
  type StatisticMoment,
  statisticGrowth,
  statisticMoment,
} from '../../count/statistics/statistic-growth.js';
import type { Snapshot } from '../../snapshot/snapshot.js';

/** A snapshot, and the time at which it was taken. */
export interface Taken {
  readonly snapshot: Snapshot;
  readonly atMs: number;
}

/**
 * Reads KVM's own statistics before and after each of two snapshots, as reading those of all VMs takes time: what KVM
 * counted between the snapshots lies between the growth from the inner readings and that from the outer ones.
 */
export class StatisticsWitness {
  readonly #agent: Agent;
  readonly #moments: StatisticMoment[] = [];
  readonly #taken: Taken[] = [];

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  /** Call it twice. */
  async takeSnapshot(): Promise<Taken> {
    await this.#read();
    const taken = { snapshot: this.#agent.snapshot(), atMs: performance.now() };
    this.#taken.push(taken);
    await this.#read();
    return taken;
  }

  /** What KVM counted between the snapshots. A VM that was not read for both of them is left out. */
  growth(): StatisticGrowth[] {
    return this.#between(0, 2);
  }

  /** The same as bounds, all vCPUs together. */
  bounds(): GrowthBounds[] {
    const [atLeast, atMost] = [sumsByVm(this.#between(1, 2)), sumsByVm(this.#between(0, 3))];
    return [...atLeast].flatMap(([vm, least]) => {
      const most = atMost.get(vm);
      return most === undefined ? [] : [{ vm, atLeast: least, atMost: most }];
    });
  }

  #between(first: number, last: number): StatisticGrowth[] {
    const [older, newer] = [this.#moments[first], this.#moments[last]];
    const [before, after] = this.#taken;
    if (older === undefined || newer === undefined || before === undefined || after === undefined) return [];
    const [startBefore, startAfter] = [before, after].map(({ snapshot }) => startsOf(snapshot)) as [Starts, Starts];
    const isNew = (vm: string) => !startBefore.has(vm);
    // Nothing is known of the last moments of a VM that was started again meanwhile.
    const isSame = (vm: string) => isNew(vm) || startBefore.get(vm) === startAfter.get(vm);
    const seconds = (after.atMs - before.atMs) / 1000;
    return statisticGrowth(older, newer, isNew, seconds).filter(({ vm }) => isSame(vm));
  }

  async #read(): Promise<void> {
    await this.#agent.readStatistics();
    this.#moments.push(statisticMoment(this.#agent.ledger.statistics));
  }
}

/** Label of the VM -> start of its process. */
type Starts = ReadonlyMap<string, number>;

function startsOf({ vms }: Snapshot): Starts {
  return new Map([...vms].map(({ vm, startSeconds }) => [vm, startSeconds]));
}

function sumsByVm(rows: readonly StatisticGrowth[]): Map<string, Map<string, number>> {
  const vms = new Map<string, Map<string, number>>();
  for (const { vm, stat, growth } of rows) {
    const sums = vms.get(vm) ?? new Map<string, number>();
    vms.set(vm, sums.set(stat, growth + (sums.get(stat) ?? 0)));
  }
  return vms;
}
