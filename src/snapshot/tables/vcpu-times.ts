import { TIME_STATES, type TimeState } from '../../count/time/vcpu-time.js';
import { merged, RowTable, type VmRow } from './row-table.js';

/** Seconds of a vCPU by state; undefined for a state that this host or recording does not show. */
export interface VcpuTimes extends VmRow {
  readonly vcpu: string;
  readonly guestSeconds: number | undefined;
  readonly kvmSeconds: number | undefined;
  readonly qemuSeconds: number | undefined;
  readonly readySeconds: number | undefined;
  readonly idleSeconds: number | undefined;
  readonly unknownSeconds: number | undefined;
}

type Seconds = `${TimeState}Seconds`;

const secondsOf = (toSeconds: (state: TimeState) => number | undefined) =>
  Object.fromEntries(TIME_STATES.map((state) => [`${state}Seconds`, toSeconds(state)])) as Record<
    Seconds,
    number | undefined
  >;

/** Times of vCPUs by state. */
export const VCPU_TIMES = new RowTable<VcpuTimes>({
  rows: ({ vms }) =>
    [...vms].flatMap(([vm, { vcpus }]) =>
      [...vcpus]
        .filter(([, { time }]) => TIME_STATES.some((state) => time[state] !== undefined))
        .map(([vcpu, { time }]) => ({ vm, vcpu, ...secondsOf((state) => seconds(time[state])) })),
    ),
  labels: { vcpu: merged('vcpu') },
  add: (a, b) => ({ ...a, ...secondsOf((state) => sum(a[`${state}Seconds`], b[`${state}Seconds`])) }),
  metrics: [
    {
      name: 'kvm_vcpu_seconds_total',
      type: 'counter',
      help:
        'Where the time of each vCPU went. The states add up to wall time: guest; kvm: in KVM, also on the way to QEMU; ' +
        'qemu: in QEMU, or another VMM; ready: runnable, waiting for a host CPU; idle: the guest had nothing to do (HLT, ' +
        'MWAIT and the like); unknown: nothing shows where it was. A state that the host does not tell apart has no series.',
      otel: { name: 'kvm.vcpu', unit: 's' },
      split: {
        label: 'state',
        values: Object.fromEntries(TIME_STATES.map((state) => [state, (row: VcpuTimes) => row[`${state}Seconds`]])),
      },
    },
  ],
});

function seconds(ns: number | undefined): number | undefined {
  return ns === undefined ? undefined : ns * 1e-9;
}

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : a + (b ?? 0);
}
