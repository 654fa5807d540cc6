import type { DeviceRanges } from '../trace/sink.js';

/** Who a thread is, as labels. Asked at snapshot time only. */
export interface Attribution {
  /** A thread of the host's kernel. */
  ofThread(tid: number): ThreadOwner;
  /** What the VM of this label itself says of its devices, where it was asked. */
  devicesOf?(vm: string): DeviceRanges | undefined;
}

export interface ThreadOwner {
  /** '' where nobody knows the thread. */
  readonly vm: string;
  /** '' where it runs none or nothing tells which. */
  readonly vcpu: string;
  /** One object for each life of a VM; undefined where nobody knows it. */
  readonly life: object | undefined;
}

/** What threads that nobody ever knew did is kept under this number, once they are gone. */
const NOBODY = 0;

/**
 * Whose the threads are that did something. A thread that is gone keeps its VM: what it did is then kept under another number, as its
 * own may come again and mean another. Those numbers are negative, one for all threads of a life that ran the same vCPU, or none.
 */
export class ThreadOwners {
  readonly #attribution: Attribution;
  readonly #known = new Map<number, ThreadOwner>();
  #ended = 0;
  readonly #endedOf = new Map<object, Map<string, number>>();

  constructor(attribution: Attribution) {
    this.#attribution = attribution;
  }

  /** While the thread lives the answer may get better: its vCPU, or its VM at all. */
  of(tid: number): ThreadOwner {
    const known = this.#known.get(tid);
    if (known !== undefined && (known.vcpu !== '' || tid <= 0)) return known;
    const owner = this.#attribution.ofThread(tid);
    if (owner.life === undefined) return known ?? owner;
    this.#known.set(tid, owner);
    return owner;
  }

  /** As far as it was asked for already. */
  known(tid: number): ThreadOwner | undefined {
    return this.#known.get(tid);
  }

  /** The thread is gone. Returns the number that what it did goes under from now on. */
  end(tid: number): number {
    const owner = this.#known.get(tid);
    this.#known.delete(tid);
    if (owner?.life === undefined) return NOBODY;
    const id = this.#endedId(owner.life, owner.vcpu);
    this.#known.set(id, owner);
    return id;
  }

  /** The VM is forgotten. Returns what its threads' numbers were, those of ended ones too, with the VM's label. */
  forget(life: object): { readonly tid: number; readonly vm: string }[] {
    this.#endedOf.delete(life);
    const own = Array.from(this.#known).flatMap(([tid, owner]) => (owner.life === life ? [{ tid, vm: owner.vm }] : []));
    for (const { tid } of own) this.#known.delete(tid);
    return own;
  }

  #endedId(life: object, vcpu: string): number {
    const ids = this.#endedOf.get(life) ?? new Map<string, number>();
    this.#endedOf.set(life, ids);
    const id = ids.get(vcpu) ?? --this.#ended;
    ids.set(vcpu, id);
    return id;
  }
}
