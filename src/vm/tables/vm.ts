/**
 * A VM and its threads (PURE).
 *
 * A VM is one life of a VMM's process, identified by process id and start time; a VM that is restarted is another
 * `Vm`. Its label, the value of the metric label `vm`, is its name, and never changes once it has raised an event.
 * While a VM with that name runs, the next one is labelled `<name> (<pid>)`, so that two VMs stay two series. After the
 * first has stopped its label is free again, at once for VMs of its user: a restarted VM continues the series of its
 * earlier life. So does a VM that migrates to another process of this host: both processes have its uuid.
 */
import type { CgroupFacts } from '../identify/cgroup.js';
import { NO_FACTS, type VmmIdentity } from '../identify/cmdline.js';
import { withOwnTexts } from './own-text.js';

/** Facts that are not known are ''. */
export interface Vm extends Required<VmmIdentity> {
  /** Name on the command line, else the uuid, else libvirt's name, else the process id. */
  readonly name: string;
  /** Value of the metric label `vm`; provisional while {@link series} is 0. */
  readonly label: string;
  /**
   * Number of the series that the VM counts in; 0 before its first event. Its earlier lives have the same number,
   * unless their series were dropped before it started.
   */
  readonly series: number;
  readonly pid: number;
  /** Start of the process, in clock ticks since boot; {@link NO_START} if only a trace names the process. */
  readonly startTime: number;
  /** The same in seconds since 1970; NaN if it is not known. */
  readonly startSeconds: number;
  /** User id of the process; -1 if it is not known. */
  readonly uid: number;
  readonly podUid: string;
  readonly containerId: string;
  /** Time of the scan that found the VM stopped; NaN while it runs. */
  readonly stoppedMs: number;
}

export interface Thread {
  readonly tid: number;
  /** Clock ticks since boot; {@link NO_START} if only a trace names the thread. */
  readonly startTime: number;
  readonly vm: Vm;
  /** -1 if the thread runs no vCPU, or if its vCPU is not known (yet). */
  readonly vcpu: number;
}

/** Start time of processes and threads that /proc does not know. */
export const NO_START = -1;

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Facts about a VM's process. */
export type VmProcess = Pick<Vm, 'pid' | 'startTime' | 'startSeconds' | 'uid'>;

/** Creates a VM with its name as its label; {@link chooseLabel} chooses the final one. */
export function newVm(
  { pid, startTime, startSeconds, uid }: VmProcess,
  fromCommandLine: VmmIdentity,
  fromCgroup: CgroupFacts,
): Mutable<Vm> {
  const identity = withOwnTexts(fromCommandLine);
  const cgroup = withOwnTexts(fromCgroup);
  const name = identity.name || identity.uuid || cgroup.libvirtScope || String(pid);
  return {
    ...NO_FACTS,
    ...identity,
    name,
    label: name,
    series: 0,
    pid,
    startTime,
    startSeconds,
    uid,
    vmId: identity.vmId ?? cgroup.vmId ?? '',
    podUid: cgroup.podUid ?? '',
    containerId: cgroup.containerId ?? '',
    stoppedMs: Number.NaN,
  };
}

/** The order in which VMs of the same name get their labels. */
export function byStart(a: Vm, b: Vm): number {
  return a.startTime - b.startTime || a.pid - b.pid;
}

/**
 * True for two processes that run one VM, as while it migrates. Two VMs of one user do not share a uuid, but in two
 * containers they can.
 */
export function isSameMachine(a: Vm, b: Vm): boolean {
  const isInOnePlace = a.uid === b.uid && a.podUid === b.podUid && a.containerId === b.containerId;
  return a.uuid !== '' && a.uuid === b.uuid && a.name === b.name && isInOnePlace;
}

/**
 * True if the VM's user is not the one of `other`, and must not pass the VM off as `other`. The host's root may. A user
 * of a container can have its uid, too.
 */
export function isForeign(vm: Vm, other: Vm): boolean {
  const isHostRoot = vm.uid === 0 && vm.podUid === '' && vm.containerId === '';
  return vm.uid !== other.uid && vm.uid >= 0 && other.uid >= 0 && !isHostRoot;
}

/** The label of a VM. `isTaken`: another VM has this label. */
export function chooseLabel(name: string, pid: number, isTaken: (label: string) => boolean): string {
  let label = name;
  while (isTaken(label)) label = `${label} (${pid})`;
  return label;
}

/** Labels of the VMs that started since a time in milliseconds. The kernel's starts are rounded down to seconds. */
export function labelsStartedSince(sinceMs: number, vms: readonly Vm[]): ReadonlySet<string> {
  const sinceSeconds = Math.floor(sinceMs / 1000);
  return new Set(vms.filter(({ startSeconds }) => startSeconds >= sinceSeconds).map(({ label }) => label));
}
