import type { Vocabulary } from '../trace/sink.js';
import type { KernelThreads } from './kernel-threads.js';
import type { CounterLayout } from './vcpu/counter-layout.js';

/** Exits of one VM for one reason. */
export interface ReasonExits {
  readonly vm: string;
  readonly layer: 'kvm' | 'qemu';
  readonly reason: string;
  readonly count: number;
}

/** What the kernel's traces show of exits, as far as the audit compares it: sums of some VMs, at little cost. */
export class KernelExits {
  readonly #threads: KernelThreads;
  readonly #layout: CounterLayout;
  readonly #vocabulary: Vocabulary;

  constructor(threads: KernelThreads, layout: CounterLayout, vocabulary: Vocabulary) {
    this.#threads = threads;
    this.#layout = layout;
    this.#vocabulary = vocabulary;
  }

  /** The exits of the VMs with these labels. A VM without exits has one row, with 0. */
  *of(labels: ReadonlySet<string>): Generator<ReasonExits> {
    const text = (reason: number) => this.#vocabulary.reasons.text(reason);
    for (const [vm, counters] of this.#threads.sums(labels)) {
      yield { vm, layer: 'kvm', reason: '', count: 0 };
      for (const { slot, reason } of this.#layout.slots('exits'))
        yield { vm, layer: 'kvm', reason: text(reason), count: counters[slot] ?? 0 };
      for (const { slot, reason } of this.#layout.slots('userspaceExits'))
        yield { vm, layer: 'qemu', reason: text(reason), count: counters[slot] ?? 0 };
    }
  }

  /** A number that changes whenever events are lost. */
  get losses(): number {
    return Array.from(this.#threads.traces.all).reduce((sum, { counts }) => sum + counts.source.losses, 0);
  }

  /** The layers whose exits were seen, of whichever thread. */
  get traced(): { readonly kvm: boolean; readonly qemu: boolean } {
    return { kvm: this.#hasSeen('kvm_exit'), qemu: this.#hasSeen('kvm_userspace_exit') };
  }

  #hasSeen(tracepoint: string): boolean {
    const hits = this.#threads.traces.tracepointHits();
    return this.#vocabulary.tracepoints.texts().some((name, id) => name === tracepoint && (hits[id] ?? 0) > 0);
  }
}
