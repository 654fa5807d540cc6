import type { VcpuTimes } from '../../../src/snapshot/tables/vcpu-times.js';

/** Times of a vCPU of which only the given states are known. */
export function vcpuTimes(known: Pick<VcpuTimes, 'vm' | 'vcpu'> & Partial<VcpuTimes>): VcpuTimes {
  return {
    guestSeconds: undefined,
    kvmSeconds: undefined,
    qemuSeconds: undefined,
    readySeconds: undefined,
    idleSeconds: undefined,
    unknownSeconds: undefined,
    ...known,
  };
}
