import { RowTable, type VmRow } from '../row-table.js';

/** The VMs of which all events are counted at present, although other VMs are sampled. */
export const FOCUSED_VMS = new RowTable<VmRow & { readonly focused: number }>({
  rows: ({ sampling }) => Array.from(sampling?.focused ?? [], (vm) => ({ vm, focused: 1 })),
  labels: {},
  add: (a) => a,
  metrics: [
    {
      name: 'kvm_vm_focused',
      type: 'gauge',
      help:
        'With --focus or --focus.auto: 1 for a VM of which all events are counted at present, so that its figures are not estimated. ' +
        'Absent for other VMs. vm="other": 1 if there are more of them.',
      otel: { name: 'kvm.vm.focused', unit: '{vm}' },
      value: ({ focused }) => focused,
    },
  ],
});
