import type { Snapshot } from '../../snapshot/snapshot.js';
import { LAYER_NOT_KNOWN } from '../../snapshot/tables/layer.js';
import type { VcpuTimes } from '../../snapshot/tables/vcpu-times.js';
import type { Recorded } from './recorded.js';

/** What a recording shows of a VM. A figure that needs anything else is unknown: a count of 0 says nothing. */
export interface Shown {
  /** VM exits (kvm_exit). */
  readonly exits: boolean;
  /** Returns of KVM_RUN, in the kernel's trace (kvm_userspace_exit) or in QEMU's (kvm_run_exit). */
  readonly returns: boolean;
  /** Returns of KVM_RUN in the kernel's trace, between exits and entries. */
  readonly userspaceExits: boolean;
  /** Exits with the entries that ended them (kvm_entry), and their times. */
  readonly entries: boolean;
}

/** Returns a function that says what is shown of a VM. */
export function shownOf({ exits, durations, tracepoints }: Snapshot): (vm: string) => Shown {
  const [withExits, withReturns] = [new Set<string>(), new Set<string>()];
  for (const { vm, layer } of exits) (layer === 'kvm' ? withExits : withReturns).add(vm);
  const withEntries = new Set(durations.map(({ vm }) => vm));
  const userspaceExits = tracepoints.some(({ name }) => name === 'kvm_userspace_exit');
  return (vm) => ({
    exits: withExits.has(vm),
    returns: userspaceExits || withReturns.has(vm),
    userspaceExits,
    entries: withEntries.has(vm),
  });
}

/**
 * Takes out of a snapshot what its recording cannot show. Without kvm_userspace_exit, the time from an exit to the next
 * entry is known, and not which part of it was in QEMU.
 */
export function withoutUnknown(snapshot: Snapshot): Snapshot {
  const shown = shownOf(snapshot);
  return {
    ...snapshot,
    durations: snapshot.durations.map((row) =>
      shown(row.vm).userspaceExits ? row : { ...row, layer: LAYER_NOT_KNOWN },
    ),
    unpaired: snapshot.unpaired.filter(({ vm, layer }) =>
      layer === 'kvm' ? shown(vm).exits : shown(vm).userspaceExits,
    ),
    eventfds: snapshot.eventfds.filter(({ count }) => count > 0),
  };
}

/**
 * Times of vCPUs, undefined where they are not known; no row for a vCPU without known times. Those of a running agent
 * are known where they are shown.
 */
export function knownTimes({ snapshot, isLive }: Pick<Recorded, 'snapshot' | 'isLive'>): VcpuTimes[] {
  const isKnown = ({ guestSeconds, qemuSeconds }: VcpuTimes) => guestSeconds !== undefined || qemuSeconds !== undefined;
  if (isLive) return [...snapshot.vcpuTimes.filter(isKnown)];
  const shown = shownOf(snapshot);
  const when = (isKnown: boolean, seconds: number | undefined) => (isKnown ? seconds : undefined);
  const rows = snapshot.vcpuTimes.map((row) => {
    const { exits, userspaceExits, entries } = shown(row.vm);
    return {
      ...row,
      guestSeconds: when(entries && exits, row.guestSeconds),
      kvmSeconds: when(entries && exits && userspaceExits, row.kvmSeconds),
      qemuSeconds: when(entries && userspaceExits, row.qemuSeconds),
      idleSeconds: when(entries && exits, row.idleSeconds),
    };
  });
  return rows.filter(isKnown);
}
