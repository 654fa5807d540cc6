import { kept, RowTable, type VmRow } from '../row-table.js';

/** How well the number of a VM's exits of layer `kvm` is known that are estimated from windows. */
export interface SamplingError extends VmRow {
  readonly reason: string;
  /** The estimate so far; a part of it may not be shown yet. */
  readonly count: number;
  /** The true number lies between these two in at least 95 % of the cases. */
  readonly low: number;
  readonly high: number;
}

/** The errors of estimated exits, of VMs whose total KVM's own statistics tell. */
export const SAMPLING_ERRORS = new RowTable<SamplingError>({
  rows: ({ sampling, vocabulary: { reasons } }) =>
    [...(sampling?.estimates ?? [])].flatMap(([vm, estimates]) =>
      Array.from(estimates, ([reason, estimate]) => ({ vm, reason: reasons.text(reason), ...estimate })),
    ),
  labels: { reason: kept('reason') },
  add: (a, b) => ({ ...a, count: a.count + b.count, low: a.low + b.low, high: a.high + b.high }),
  metrics: [
    {
      name: 'kvm_exits_sampling_error',
      type: 'gauge',
      help:
        'With --sampling: how far the number of a VM\'s exits by reason in kvm_exits_total{layer="kvm"} may be from the ' +
        "true one, in 95 % of the cases. 0 for a reason whose exits KVM counts. Their sum over all reasons is exact. Absent for a VM whose exits KVM's own " +
        'statistics do not tell: then the error is not known.',
      otel: { name: 'kvm.exits.sampling_error', unit: '{exit}' },
      value: ({ count, low, high }) => Math.max(high - count, count - low),
    },
  ],
});
