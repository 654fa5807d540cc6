import type { StatisticsDoor, StatisticsPart, StatisticsReading } from '../../trace/kvm-statistic.js';
import { StatisticLayout, type StatisticSlot } from './statistic-layout.js';

/** Values by slot; NaN where a statistic was never read. */
export type StatisticValues = Float64Array;

/** What KVM's own statistics showed of one VM. */
export interface VmStatisticTotals {
  /** Each VM has its own, because a process that poses as a QEMU may make up any number of names. */
  readonly layout: StatisticLayout;
  /** vCPU ('' for the VM as a whole) -> values. */
  readonly vcpus: ReadonlyMap<string, StatisticValues>;
}

/** What KVM's own statistics showed of the VMs so far. */
export interface StatisticTotals {
  /** Label of the VM -> its statistics. */
  readonly vms: ReadonlyMap<string, VmStatisticTotals>;
  /** Label of the VM -> time of the latest reading, on the agent's clock. */
  readonly readMs: ReadonlyMap<string, number>;
}

/** One life of a VM, and what was read last of it. */
interface Life {
  door: StatisticsDoor;
  /** Key of a part -> its vCPU and values. */
  parts: Map<string, { readonly vcpu: string; readonly values: StatisticValues }>;
}

interface VmStatistics extends VmStatisticTotals {
  readonly vcpus: Map<string, StatisticValues>;
  /** Process of the VM -> its life. */
  readonly lives: Map<string, Life>;
}

/**
 * Keeps KVM's own statistics by label of the VM. KVM counts from the creation of a VM on; here a VM that is restarted
 * under its name continues where its earlier life ended.
 *
 * - A total grows by what it grew since the last reading. One that has decreased was set to 0, as `kvm_stat` can, so it
 *   grows by its whole value.
 * - Two doors divide a VM into different parts: what was counted per vCPU would be counted again for the VM as a whole.
 *   So the first reading through another door adds nothing, and serves the next ones to start from.
 */
export class StatisticCounts implements StatisticTotals {
  readonly readMs = new Map<string, number>();
  readonly #vms = new Map<string, VmStatistics>();

  get vms(): ReadonlyMap<string, VmStatisticTotals> {
    return this.#vms;
  }

  /**
   * @param process identifies the life of the VM
   * @param atMs time of the reading on the agent's clock
   */
  add(label: string, process: string, reading: StatisticsReading, atMs = 0): void {
    this.readMs.set(label, atMs);
    const { door } = reading;
    const vm = this.#vms.get(label) ?? { layout: new StatisticLayout(), vcpus: new Map(), lives: new Map() };
    this.#vms.set(label, vm);
    const before = vm.lives.get(process);
    const isSameDoor = before?.door === door;
    // A vCPU that is unplugged keeps its statistics in KVM, and continues them when it comes back.
    const parts: Life['parts'] = new Map(isSameDoor ? [...before.parts].filter(([, { vcpu }]) => vcpu !== '') : []);
    for (const part of reading.parts) {
      const known = isSameDoor ? before.parts.get(part.key)?.values : undefined;
      const values = valuesOf(part, known, vm.layout);
      parts.set(part.key, { vcpu: part.vcpu, values });
      const last = before === undefined || isSameDoor ? known : values;
      vm.vcpus.set(part.vcpu, grown(vm.vcpus.get(part.vcpu), last, part, values, vm.layout));
    }
    vm.lives.set(process, { door, parts });
    addCurrent(vm);
  }

  /** Forgets lives that have ended: their figures of now are gone, their totals stay. */
  keepOnly(processes: ReadonlySet<string>): void {
    for (const vm of this.#vms.values()) {
      const ended = [...vm.lives.keys()].filter((process) => !processes.has(process));
      if (ended.length === 0) continue;
      for (const process of ended) vm.lives.delete(process);
      addCurrent(vm);
    }
  }

  /** Drops everything about a VM. */
  forget(label: string): void {
    this.#vms.delete(label);
    this.readMs.delete(label);
  }
}

function currentSlots(layout: StatisticLayout): readonly StatisticSlot[] {
  return layout.slots().filter(({ statistic }) => statistic.kind === 'current');
}

/** The values of a part; a total that could not be read this time keeps its last value. */
function valuesOf(part: StatisticsPart, last: StatisticValues | undefined, layout: StatisticLayout): StatisticValues {
  let values: StatisticValues = last?.slice() ?? new Float64Array(0);
  for (const { slot } of currentSlots(layout)) if (slot < values.length) values[slot] = Number.NaN;
  for (const [statistic, value] of part.values) {
    const slot = layout.slotOf(statistic);
    if (slot < 0) continue;
    values = withRoomFor(values, slot + statistic.length - 1);
    if (typeof value === 'number') values[slot] = value;
    else values.set(value.slice(0, statistic.length), slot);
  }
  return values;
}

/** `total` grown by what was counted since `last`. */
function grown(
  total: StatisticValues | undefined,
  last: StatisticValues | undefined,
  part: StatisticsPart,
  values: StatisticValues,
  layout: StatisticLayout,
): StatisticValues {
  const result = withRoomFor(total ?? new Float64Array(0), values.length - 1);
  for (const [statistic] of part.values) {
    const slot = layout.slotOf(statistic);
    if (slot < 0 || statistic.kind === 'current') continue;
    for (let at = slot; at < slot + statistic.length; at++) {
      const [now, before] = [values[at] as number, last?.[at] || 0];
      result[at] = (result[at] || 0) + (now >= before ? now - before : now);
    }
  }
  return result;
}

/** Sums the figures of now over what runs. */
function addCurrent(vm: VmStatistics): void {
  for (const { slot } of currentSlots(vm.layout)) {
    for (const values of vm.vcpus.values()) if (slot < values.length) values[slot] = Number.NaN;
    for (const { parts } of vm.lives.values())
      for (const { vcpu, values } of parts.values()) {
        const [sum, now] = [vm.vcpus.get(vcpu), values[slot] ?? Number.NaN];
        if (sum === undefined || Number.isNaN(now)) continue;
        sum[slot] = Number.isNaN(sum[slot] as number) ? now : (sum[slot] as number) + now;
      }
  }
}

/** `values` if it has the index, else a longer copy, NaN at the end. */
function withRoomFor(values: StatisticValues, index: number): StatisticValues {
  if (index < values.length) return values;
  const longer = new Float64Array(index + 1).fill(Number.NaN);
  longer.set(values);
  return longer;
}
