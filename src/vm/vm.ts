/**
 * What a VM and its threads are (PURE).
 *
 * A VM is one life of one VMM process: (pid, start time). Started again it is another VM. Its label, the value of the
 * `vm` metric label, is its name and never changes. While a VM of that name lives, the next one is called `<name>
 * (<pid>)`: two VMs stay two series. After the first has stopped the name is free again, so that a restarted VM goes on
 * with its label, also while the stopped one is still kept.
 */
import type { CgroupFacts } from './identify/cgroup.js';
import type { VmmIdentity } from './identify/cmdline.js';

export interface Vm {
  /** What its owner calls it, else its uuid, else the process id. */
  readonly name: string;
  /** Value of the metric label `vm`. */
  readonly label: string;
  readonly pid: number;
  /** Of the process, in clock ticks since boot; {@link NO_START} where only a recording tells of it. */
  readonly startTime: number;
  readonly vmm: string;
  // Each '' where there is none.
  readonly uuid: string;
  /** Proxmox' number. */
  readonly vmId: string;
  readonly podUid: string;
  readonly containerId: string;
  /** KubeVirt. */
  readonly namespace: string;
  readonly vmi: string;
  /** Kata. */
  readonly sandbox: string;
  /** When it was seen to be gone, by the clock of `scan(nowMs)`; NaN while it runs. */
  readonly stoppedMs: number;
}

export interface Thread {
  readonly tid: number;
  /** In clock ticks since boot; {@link NO_START} where only a recording tells of it. */
  readonly startTime: number;
  readonly vm: Vm;
  /** -1: not a vCPU, or not known (yet). */
  readonly vcpu: number;
}

/** Start time of what no /proc tells of. */
export const NO_START = -1;

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** `name` of a VM before it is labelled, see {@link labelOf}. */
export function newVm(pid: number, startTime: number, identity: VmmIdentity, cgroup: CgroupFacts): Mutable<Vm> {
  const name = identity.name || identity.uuid || cgroup.libvirtScope || String(pid);
  return {
    name,
    label: name,
    pid,
    startTime,
    vmm: identity.vmm,
    uuid: identity.uuid,
    vmId: identity.vmId ?? cgroup.vmId ?? '',
    podUid: cgroup.podUid ?? '',
    containerId: cgroup.containerId ?? '',
    namespace: identity.namespace ?? '',
    vmi: identity.vmi ?? '',
    sandbox: identity.sandbox ?? '',
    stoppedMs: Number.NaN,
  };
}

/** The order in which VMs of the same name get their labels. */
export function byStart(a: Vm, b: Vm): number {
  return a.startTime - b.startTime || a.pid - b.pid;
}

/** The label for a new VM, given those of the VMs that live. */
export function labelOf(name: string, pid: number, taken: ReadonlySet<string>): string {
  let label = name;
  while (taken.has(label)) label = `${label} (${pid})`;
  return label;
}
