import type { DeviceRanges } from '../trace/sink.js';

/** What the counters ask about threads and VMs. The agent answers from its inventory, tests from a table. */
export interface Attribution {
  /** The owner of a thread, by its id on the host. */
  ownerOf(tid: number): ThreadOwner;
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

/** Id under which the counts of ended threads without a VM are added up. */
const UNKNOWN_ENDED = 0;

/**
 * Maps thread ids to VMs and remembers the answers, so that a thread keeps its VM after it has ended.
 *
 * When a thread ends, its counts move to a synthetic negative id, because the kernel may reuse the thread id. All ended
 * threads of VMs with one label that ran the same vCPU (or none) share one synthetic id, so memory does not grow with
 * the number of restarts.
 */
export class ThreadOwners {
  readonly #attribution: Attribution;
  readonly #recorded = new Map<number, ThreadOwner>();
  #lastSyntheticId = 0;
  /** Label of the VM -> vCPU -> synthetic id of its ended threads. */
  readonly #syntheticIds = new Map<string, Map<string, number>>();

  constructor(attribution: Attribution) {
    this.#attribution = attribution;
  }

  /** Records the owners of these threads. Returns the live threads that belong to no known VM. */
  resolve(tids: Iterable<number>): number[] {
    const unknown: number[] = [];
    for (const tid of tids) if (this.ownerOf(tid).vm === undefined && tid > 0) unknown.push(tid);
    return unknown;
  }

  /**
   * Asks again until the thread's vCPU is known: a thread may get its name, or its VM be found, after its first event.
   */
  ownerOf(tid: number): ThreadOwner {
    const recorded = this.#recorded.get(tid);
    if (recorded !== undefined && (recorded.vcpu !== '' || tid <= 0)) return recorded;
    const owner = this.#attribution.ownerOf(tid);
    if (owner.vm === undefined) return recorded ?? owner;
    this.#recorded.set(tid, owner);
    return owner;
  }

  /** The VM recorded for a thread so far; does not ask for a better answer. */
  vmOf(tid: number): VmIdentity | undefined {
    return this.#recorded.get(tid)?.vm;
  }

  /** The thread has ended. Returns the id that its counts belong to from now on. */
  end(tid: number): number {
    const owner = this.#recorded.get(tid);
    this.#recorded.delete(tid);
    if (owner?.vm === undefined) return UNKNOWN_ENDED;
    const id = this.#syntheticId(owner.vm.label, owner.vcpu);
    this.#recorded.set(id, owner);
    return id;
  }

  /** Returns the ids of all threads of VMs with this label, synthetic ones included. */
  forget(label: string): number[] {
    this.#syntheticIds.delete(label);
    const tids = Array.from(this.#recorded).flatMap(([tid, { vm }]) => (vm?.label === label ? [tid] : []));
    for (const tid of tids) this.#recorded.delete(tid);
    return tids;
  }

  #syntheticId(label: string, vcpu: string): number {
    const ids = this.#syntheticIds.get(label) ?? new Map<string, number>();
    this.#syntheticIds.set(label, ids);
    const id = ids.get(vcpu) ?? --this.#lastSyntheticId;
    ids.set(vcpu, id);
    return id;
  }
}
