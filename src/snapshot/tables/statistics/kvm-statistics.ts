import type { LedgerTotals } from '../../../count/ledger-totals.js';
import type { StatisticSlot } from '../../../count/statistics/statistic-layout.js';
import { merged, RowTable, type VmRow } from '../row-table.js';

/** One of KVM's own statistics, of a vCPU or, with vCPU '', of a VM. */
export interface StatisticRow extends VmRow {
  readonly vcpu: string;
  readonly stat: string;
  readonly value: number;
  /** Time of the reading on the agent's clock. */
  readonly readMs: number;
}

const LABELS = { vcpu: merged('vcpu'), stat: merged('stat') };
const WHENCE =
  'stat: KVM\'s own name, which differs by architecture and kernel. vcpu="": of the VM, or a sum over its vCPUs.';

function addValues(a: StatisticRow, b: StatisticRow): StatisticRow {
  return { ...a, value: a.value + b.value, readMs: Math.max(a.readMs, b.readMs) };
}

/** Statistics that only grow: events and pieces. */
export const STAT_TOTALS = new RowTable<StatisticRow>({
  // As of exits, a counter that is 0 has no series.
  rows: (totals) => rows(totals, isTotalOf(false), (value) => value > 0),
  labels: LABELS,
  add: addValues,
  metrics: [
    {
      name: 'kvm_stat_total',
      type: 'counter',
      help: `KVM's own statistics that count events, whether they are traced or not. ${WHENCE}`,
      otel: { name: 'kvm.stat', unit: '{event}' },
      value: ({ value }) => value,
    },
  ],
});

/** Statistics that only grow: times. */
export const STAT_SECONDS = new RowTable<StatisticRow>({
  rows: (totals) => rows(totals, isTotalOf(true), (value) => value > 0),
  labels: LABELS,
  add: addValues,
  metrics: [
    {
      name: 'kvm_stat_seconds_total',
      type: 'counter',
      help: `KVM's own statistics that add up time, such as halt_poll_fail_ns, in seconds. ${WHENCE}`,
      otel: { name: 'kvm.stat.seconds', unit: 's' },
      value: ({ value }) => value,
    },
  ],
});

/** Statistics of the present. */
export const STAT_CURRENT = new RowTable<StatisticRow>({
  rows: (totals) =>
    rows(
      totals,
      ({ statistic: { kind } }) => kind === 'current',
      (value) => value >= 0,
    ),
  labels: LABELS,
  add: addValues,
  metrics: [
    {
      name: 'kvm_stat_current',
      type: 'gauge',
      help: `KVM's own statistics that show a state, an amount or a maximum of now, such as pages_4k. ${WHENCE}`,
      otel: { name: 'kvm.stat.current', unit: '{piece}' },
      value: ({ value }) => value,
    },
  ],
});

function isTotalOf(isTime: boolean): (slot: StatisticSlot) => boolean {
  return ({ statistic }) => statistic.kind === 'total' && statistic.isTime === isTime;
}

function rows(
  { statistics: { vms, readMs } }: LedgerTotals,
  isChosen: (slot: StatisticSlot) => boolean,
  isShown: (value: number) => boolean,
): StatisticRow[] {
  const found: StatisticRow[] = [];
  for (const [vm, { layout, vcpus }] of vms) {
    const slots = layout.slots().filter(isChosen);
    for (const [vcpu, values] of vcpus)
      for (const { slot, statistic } of slots) {
        const value = values[slot] ?? Number.NaN;
        if (isShown(value)) found.push({ vm, vcpu, stat: statistic.name, value, readMs: readMs.get(vm) ?? 0 });
      }
  }
  return found;
}
