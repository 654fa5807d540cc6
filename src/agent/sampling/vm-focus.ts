import type { AutoFocus } from './auto-focus.js';
import type { Focus } from './window-sampler.js';

/** Records the events of chosen threads, between windows too; see FocusInstance. */
export interface FocusedTrace {
  /** Returns the threads that are new; undefined if the kernel refuses. */
  add(threads: Iterable<number>): Promise<ReadonlySet<number> | undefined>;
  deliverAll(isAll: boolean): void;
  pause(): Promise<void>;
  resume(kept: ReadonlySet<number>): Promise<void>;
  /** Records nothing more, and forgets all threads. */
  stop(): Promise<void>;
}

export interface FocusedSources {
  /** The present trace; undefined if none is read. */
  readonly trace: () => FocusedTrace | undefined;
  /** Counts what has happened by now. */
  readonly drain: () => void;
  /** Reads KVM's own statistics. */
  readonly readStatistics: () => Promise<void>;
}

/** What counts. Times are of {@link VmFocusOptions.now}. */
export interface FocusedLedger {
  /** @param isNew true if the VM started in this period */
  focus(label: string, nowMs: number, isNew: boolean): void;
  unfocus(label: string, nowMs: number): void;
  /** Thread of a VM -> exits to KVM that were seen so far. */
  exitsByThread(label: string): ReadonlyMap<number, number>;
}

export interface VmFocusOptions {
  /** True for the labels of the VMs of which all events are always to be counted. */
  readonly isWanted: (label: string) => boolean;
  /** Chooses more VMs. */
  readonly auto?: AutoFocus | undefined;
  /** The vCPU threads of the VMs that run. */
  readonly threads: () => Iterable<{ readonly label: string; readonly tid: number }>;
  readonly sources: FocusedSources;
  readonly ledger: FocusedLedger;
  /** Labels of the VMs that started in the last milliseconds. */
  readonly startedWithin: (ms: number) => ReadonlySet<string>;
  readonly now?: () => number;
}

/** Keeps the wanted VMs in focus: follows their threads, and VMs that start and stop. */
export class VmFocus implements Focus {
  readonly #options: VmFocusOptions;
  readonly #now: () => number;
  readonly #focused = new Set<string>();

  constructor(options: VmFocusOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  async update(periodMs: number): Promise<void> {
    const { auto, sources, ledger, startedWithin } = this.#options;
    auto?.choose(this.#now(), (label) => ledger.exitsByThread(label));
    const wanted = this.#wanted();
    const labels = new Set(wanted.values());
    const trace = sources.trace();
    const added = await trace?.add(wanted.keys());
    if (added === undefined) return;
    const grown = new Set(Array.from(added, (tid) => wanted.get(tid) as string));
    const begun = [...labels].filter((label) => grown.has(label) || !this.#focused.has(label));
    const ended = [...this.#focused].filter((label) => !labels.has(label));
    if (begun.length + ended.length === 0) return;
    await sources.readStatistics();
    sources.drain();
    const started = startedWithin(periodMs);
    for (const label of begun) {
      ledger.focus(label, this.#now(), started.has(label));
      this.#focused.add(label);
    }
    for (const label of ended) {
      ledger.unfocus(label, this.#now());
      this.#focused.delete(label);
    }
    // While threads are forgotten, events of those that stay would be missed. So that waits for a window if any stay.
    if (labels.size === 0) await trace?.stop();
  }

  deliverAll(isAll: boolean): void {
    this.#options.sources.trace()?.deliverAll(isAll);
  }

  async pause(): Promise<void> {
    await this.#options.sources.trace()?.pause();
  }

  async resume(): Promise<void> {
    await this.#options.sources.trace()?.resume(new Set(this.#wanted().keys()));
  }

  /** Thread id -> label of its VM. */
  #wanted(): Map<number, string> {
    const { threads, isWanted, auto } = this.#options;
    const wanted = new Map<number, string>();
    /** Label -> true if the VM is wanted. */
    const answers = new Map<string, boolean>();
    for (const { label, tid } of threads()) {
      const answer = answers.get(label) ?? (isWanted(label) || auto?.has(label) === true);
      answers.set(label, answer);
      if (answer) wanted.set(tid, label);
    }
    return wanted;
  }
}
