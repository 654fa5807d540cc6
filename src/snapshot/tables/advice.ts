import { kept, merged, RowTable, type VmRow } from './row-table.js';

/** A finding that lasts: something that a VM does too often. */
export interface AdviceRow extends VmRow {
  /** Id of the rule, and name of its page in docs/advice. */
  readonly advice: string;
  readonly severity: 'warning' | 'info';
  /** Seconds per second: 1 is one whole vCPU; NaN if it is not known. */
  readonly cost: number;
}

/**
 * What to change, by VM. Rows come from the difference of snapshots (src/advice), so a new snapshot has none; the
 * commands that serve add them.
 */
export const ADVICE = new RowTable<AdviceRow>({
  rows: () => [],
  labels: { advice: merged('advice'), severity: kept('severity') },
  add: (a, b) => ({ ...a, cost: a.cost + b.cost }),
  metrics: [
    {
      name: 'kvm_vm_advice',
      type: 'gauge',
      help:
        'What to change about a VM: the share of a vCPU that it costs now, NaN where durations are not known. advice names a page in ' +
        'docs/advice. A VM without findings has no series. A finding has lasted for --advice.lasting.',
      otel: { name: 'kvm.vm.advice', unit: '{vcpu}' },
      value: ({ cost }) => cost,
    },
  ],
});
