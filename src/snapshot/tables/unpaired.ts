import type { Layer } from './layer.js';
import { addCounts, kept, RowTable, type VmRow } from './row-table.js';

/** Exits that neither ended with an entry into the guest nor went on to userspace, as far as the trace shows. */
export interface UnpairedCount extends VmRow {
  readonly layer: Layer;
  readonly count: number;
}

/** Exits without a duration, by layer. */
export const UNPAIRED = new RowTable<UnpairedCount>({
  rows: ({ collectors, vms }) =>
    !collectors.duration
      ? []
      : [...vms].flatMap(([vm, { unpairedKvm, unpairedQemu }]) => [
          { vm, layer: 'kvm', count: unpairedKvm },
          { vm, layer: 'qemu', count: unpairedQemu },
        ]),
  labels: { layer: kept('layer') },
  add: addCounts,
  isUnlimited: () => true,
  metrics: [
    {
      name: 'kvm_exit_exporter_unpaired_exits_total',
      type: 'counter',
      help:
        'Exits without a duration: no entry into the guest was seen after them, or events were lost in between. ' +
        'layer="kvm" does not include exits that went on to userspace.',
      otel: { name: 'kvm_exit_exporter.unpaired_exits', unit: '{exit}' },
      value: ({ count }) => count,
    },
  ],
});
