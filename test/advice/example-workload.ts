import type { ExitRate, IoRate, Workload } from '../../src/advice/workload.js';

/** A VM with one vCPU, and what it does. */
export function workloadOf(parts: Partial<Workload>): Workload {
  return {
    vm: 'web',
    vcpus: 1,
    info: undefined,
    exits: [],
    io: [],
    ioeventfdPerSecond: 0,
    times: [],
    msrs: [],
    pageFaults: [],
    isApicvOff: false,
    ...parts,
  };
}

/** Exits to KVM that KVM handled itself. */
export function kvmExits(reason: string, perSecond: number, meanSeconds?: number): ExitRate {
  return { layer: 'kvm', reason, perSecond, handledPerSecond: perSecond, meanSeconds, p99Seconds: meanSeconds };
}

export function qemuExits(reason: string, perSecond: number, meanSeconds?: number): ExitRate {
  return { ...kvmExits(reason, perSecond, meanSeconds), layer: 'qemu' };
}

/** Accesses to one address that QEMU answered, and the exits that they are. */
export function accesses(io: Pick<IoRate, 'bus'> & Partial<IoRate>, meanSeconds?: number): Partial<Workload> {
  const row: IoRate = {
    layer: 'qemu',
    direction: 'in',
    address: 0,
    device: '',
    perSecond: 1000,
    meanSeconds: undefined,
    ...io,
  };
  return {
    io: [row],
    exits: [qemuExits(row.bus === 'pio' ? 'KVM_EXIT_IO' : 'KVM_EXIT_MMIO', row.perSecond, meanSeconds)],
  };
}
