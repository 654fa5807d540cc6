import { addCounts, merged, RowTable, type VmRow } from './row-table.js';

/** Events in QEMU's own traces. */
export interface QemuEventCount extends VmRow {
  readonly event: string;
  readonly count: number;
}

/** QEMU's events by name. */
export const QEMU_EVENTS = new RowTable<QemuEventCount>({
  rows: ({ qemuEvents }) =>
    [...qemuEvents].flatMap(([vm, counts]) => Array.from(counts, ([event, count]) => ({ vm, event, count }))),
  labels: { event: merged('event') },
  add: addCounts,
  metrics: [
    {
      name: 'qemu_trace_events_total',
      type: 'counter',
      help:
        "Events in QEMU's own traces (log, simple or ftrace backend), by name. kvm_run_exit counts the same exits as " +
        'kvm_exits_total{layer="qemu"}, without restart and error.',
      otel: { name: 'qemu.trace.events', unit: '{event}' },
      value: ({ count }) => count,
    },
  ],
});
