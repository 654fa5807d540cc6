import { merged, RowTable, type VmRow } from './row-table.js';

/** Time that a vCPU spent outside its guest, in seconds. */
export interface OutsideTime extends VmRow {
  readonly vcpu: string;
  readonly kvmSeconds: number;
  readonly qemuSeconds: number;
  /** Time in which the guest had nothing to do, in neither of the other two columns. */
  readonly idleSeconds: number;
}

/** Time outside the guest by vCPU. */
export const OUTSIDE = new RowTable<OutsideTime>({
  rows: ({ collectors, vms }) =>
    !collectors.duration
      ? []
      : [...vms].flatMap(([vm, { vcpus }]) =>
          Array.from(vcpus, ([vcpu, { kvmNs, qemuNs, idleNs }]) => ({
            vm,
            vcpu,
            kvmSeconds: kvmNs * 1e-9,
            qemuSeconds: qemuNs * 1e-9,
            idleSeconds: idleNs * 1e-9,
          })),
        ),
  labels: { vcpu: merged('vcpu') },
  add: (a, b) => ({
    ...a,
    kvmSeconds: a.kvmSeconds + b.kvmSeconds,
    qemuSeconds: a.qemuSeconds + b.qemuSeconds,
    idleSeconds: a.idleSeconds + b.idleSeconds,
  }),
  metrics: [
    {
      name: 'kvm_vcpu_outside_guest_seconds_total',
      type: 'counter',
      help:
        'Seconds that a vCPU spent outside its guest, without idle time. layer="kvm": in KVM, also on the way to userspace. ' +
        'layer="qemu": in userspace. Waiting for a host CPU is included in the layer in which the vCPU waits. ' +
        'Unlike counts of exits, these layers add up.',
      otel: { name: 'kvm.vcpu.outside_guest', unit: 's' },
      split: {
        label: 'layer',
        values: { kvm: ({ kvmSeconds }) => kvmSeconds, qemu: ({ qemuSeconds }) => qemuSeconds },
      },
    },
    {
      name: 'kvm_vcpu_idle_seconds_total',
      type: 'counter',
      help: 'Seconds that a vCPU spent outside its guest because the guest was idle (HLT, MWAIT and the like).',
      otel: { name: 'kvm.vcpu.idle', unit: 's' },
      value: ({ idleSeconds }) => idleSeconds,
    },
  ],
});
