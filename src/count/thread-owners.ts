import type { DeviceRanges } from '../trace/device-ranges.js';

/** What the counters ask about threads and VMs. The agent answers from its inventory, tests from a table. */
export interface Attribution {
  /**
   * The owner of the thread that had this id on the host at a time.
   * @param atMs on the clock of the agent; NaN: now
   * @param ranVcpu true if the thread did what only a vCPU's thread does
   */
  ownerOf(tid: number, atMs: number, ranVcpu: boolean): ThreadOwner;
  /** Number of times that the whole host was searched for VMs and their threads; undefined if nothing searches it. */
  scans?(): number;
  /** The devices that the VM with this label reported over QMP; undefined if it was not asked. */
  devicesOf?(vm: string): DeviceRanges | undefined;
}

/**
 * A VM as far as the counters need to know it. `Vm` of src/vm/vm.ts is one. Declared here so that this room depends on
 * `trace` only and its tests need no inventory.
 *
 * A VM that is restarted under its name has the same label, and its series continue: counts are kept by label, whatever
 * number of processes has had it.
 */
export interface VmIdentity {
  /** Value of the metric label `vm`; never changes once the counters know the VM. */
  readonly label: string;
}

export interface ThreadOwner {
  /** Undefined if the thread belongs to no known VM. */
  readonly vm: VmIdentity | undefined;
  /** Number of the vCPU that the thread runs; '' if it runs none, or if the number is not known. */
  readonly vcpu: string;
}

/** What the counters know of a thread whose owner is not settled. */
export interface OpenThread {
  /** True if the thread did what only a vCPU's thread does. */
  ranVcpu: boolean;
  /** True if the thread has events that name no vCPU, so that the thread's own vCPU must be known. */
  needsVcpu: boolean;
  /** Time of its latest event on the agent's clock; NaN if it is not known. */
  readonly atMs: number;
}

/**
 * How long the counts of a thread are withheld while its VM or its vCPU is not known. A thread gets its name a moment
 * after its start, and a scan sees it within two seconds; on a busy host the agent may not have looked by then.
 */
const HOLD_MS = 5000;
const HOLD_SCANS = 2;
/** Ended threads whose counts are withheld at a time; each takes some 2.5 KB. */
const MAX_WITHHELD_ENDED = 4096;

/** Begin of the time in which the counts of a thread are withheld. */
interface Hold {
  readonly sinceMs: number;
  /** Number of scans until then. */
  readonly scans: number;
}

/**
 * Maps thread ids to VMs and vCPUs, and remembers the answers, so that a thread keeps its VM after it has ended.
 *
 * What was shown never moves to other series, because that would make a counter fall. The counts of a new thread are
 * withheld until its owner is known, or {@link HOLD_MS} have passed and {@link HOLD_SCANS} scans were done; then the
 * owner is settled. If a better answer comes later, the counts so far stay where they were shown, and those from then
 * on have the new owner.
 *
 * When a thread ends, its counts move to a synthetic negative id, because the kernel may reuse the thread id. All ended
 * threads of VMs with one label that ran the same vCPU (or none) share one synthetic id, so memory does not grow with
 * the number of restarts.
 */
export class ThreadOwners {
  readonly #attribution: Attribution;
  readonly #moveCounts: (from: number, to: number) => void;
  /** Id -> its owner, under which its counts are shown. */
  readonly #settled = new Map<number, ThreadOwner>();
  /** Id -> since when its counts are withheld. */
  readonly #held = new Map<number, Hold>();
  /** Synthetic id of an ended thread whose owner is not settled -> the thread's own id, and when it ended. */
  readonly #ended = new Map<number, { readonly tid: number; readonly atMs: number }>();
  /** Label of the VM ('' if it is not known) -> vCPU -> synthetic id of its ended threads. */
  readonly #mergedIds = new Map<string, Map<string, number>>();
  #latestSyntheticId = 0;

  /** @param moveCounts adds the counts of one id to those of another */
  constructor(attribution: Attribution, moveCounts: (from: number, to: number) => void) {
    this.#attribution = attribution;
    this.#moveCounts = moveCounts;
  }

  /** The owner under which the counts of an id are shown; undefined while they are withheld. */
  ownerOf(id: number): ThreadOwner | undefined {
    return this.#settled.get(id);
  }

  /** True if {@link resolve} has something to find out. */
  isOpen(id: number, needsVcpu: boolean): boolean {
    const owner = this.#settled.get(id);
    return owner === undefined || (id > 0 && !isComplete(owner, needsVcpu));
  }

  /** True while counts are withheld. */
  get isWithholding(): boolean {
    return this.#held.size + this.#ended.size > 0;
  }

  /**
   * Asks for the owner of an open id, and settles it if it is known or has been withheld for long enough. Returns the
   * owner as far as it is known. @param nowMs Infinity: withhold nothing
   */
  resolve(id: number, { ranVcpu, needsVcpu, atMs }: OpenThread, nowMs: number): ThreadOwner {
    const ended = this.#ended.get(id);
    const owner = this.#attribution.ownerOf(ended?.tid ?? id, ended?.atMs ?? atMs, ranVcpu);
    const before = this.#settled.get(id);
    if (before !== undefined) {
      if (!isBetter(owner, before)) return before;
      this.#moveCounts(id, this.#mergedId(before));
    } else {
      if (!isComplete(owner, needsVcpu) && this.#isHeld(id, nowMs)) return owner;
      this.#held.delete(id);
      if (this.#ended.delete(id)) {
        this.#moveCounts(id, this.#mergedId(owner));
        return owner;
      }
    }
    this.#settled.set(id, owner);
    return owner;
  }

  /** The thread has ended. Returns the id that its counts belong to from now on. */
  end(tid: number, atMs: number): number {
    const owner = this.#settled.get(tid);
    const hold = this.#held.get(tid);
    this.drop(tid);
    if (owner !== undefined) return this.#mergedId(owner);
    if (this.#ended.size >= MAX_WITHHELD_ENDED) this.#settleOldestEnded();
    const id = --this.#latestSyntheticId;
    this.#ended.set(id, { tid, atMs });
    if (hold !== undefined) this.#held.set(id, hold);
    return id;
  }

  /** Drops what is remembered of a thread without counts. */
  drop(tid: number): void {
    this.#settled.delete(tid);
    this.#held.delete(tid);
  }

  /** Returns the ids of all threads of VMs with this label, synthetic ones included. */
  forget(label: string): number[] {
    this.#mergedIds.delete(label);
    const ids = Array.from(this.#settled).flatMap(([id, { vm }]) => (vm?.label === label ? [id] : []));
    for (const id of ids) this.#settled.delete(id);
    return ids;
  }

  /** A process can start and end threads at any rate, so the thread that ended first is waited for no longer. */
  #settleOldestEnded(): void {
    for (const [id, { tid, atMs }] of this.#ended) {
      this.#ended.delete(id);
      this.#held.delete(id);
      this.#moveCounts(id, this.#mergedId(this.#attribution.ownerOf(tid, atMs, false)));
      return;
    }
  }

  #isHeld(id: number, nowMs: number): boolean {
    if (nowMs === Number.POSITIVE_INFINITY) return false;
    const scans = this.#attribution.scans?.();
    const hold = this.#held.get(id) ?? { sinceMs: nowMs, scans: scans ?? 0 };
    this.#held.set(id, hold);
    return nowMs - hold.sinceMs < HOLD_MS || (scans !== undefined && scans - hold.scans < HOLD_SCANS);
  }

  /** The synthetic id of the ended threads of this owner. */
  #mergedId(owner: ThreadOwner): number {
    const label = owner.vm?.label ?? '';
    const ids = this.#mergedIds.get(label) ?? new Map<string, number>();
    this.#mergedIds.set(label, ids);
    const id = ids.get(owner.vcpu) ?? --this.#latestSyntheticId;
    ids.set(owner.vcpu, id);
    this.#settled.set(id, owner);
    return id;
  }
}

function isComplete({ vm, vcpu }: ThreadOwner, needsVcpu: boolean): boolean {
  return vm !== undefined && (vcpu !== '' || !needsVcpu);
}

function isBetter(now: ThreadOwner, before: ThreadOwner): boolean {
  if (now.vm === undefined) return false;
  return before.vm === undefined || (before.vcpu === '' && now.vcpu !== '' && now.vm.label === before.vm.label);
}
