import { Names } from '../trace/names.js';
import type { Vocabulary } from '../trace/sink.js';
import { SourceCounts } from './counters/source-counts.js';
import { SharedRoom } from './qemu/counter-room.js';
import { QemuCounts } from './qemu/qemu-counts.js';
import type { QemuBackend, QemuOwner, QemuView } from './qemu-views.js';

/** The counters of QEMU's own trace files. */
export class QemuSources {
  readonly #vocabulary: Vocabulary;
  readonly #coverage: { readonly now: boolean; readonly ever: boolean };
  #views: QemuView[] = [];
  readonly #sharedRoom = new SharedRoom();

  /** @param coverage whether the kernel counts the userspace exits of all VMs, now and at any time so far */
  constructor(vocabulary: Vocabulary, coverage: { readonly now: boolean; readonly ever: boolean }) {
    this.#vocabulary = vocabulary;
    this.#coverage = coverage;
  }

  get views(): readonly QemuView[] {
    return this.#views;
  }

  /**
   * Creates the counters for a trace file.
   * @param names of the events that the file's decoder adds
   */
  add(
    backend: QemuBackend,
    owner: QemuOwner,
    source = new SourceCounts(),
    { qemuEvents: names }: Vocabulary = this.#vocabulary,
  ): QemuCounts {
    const counts = new QemuCounts({ coverage: this.#coverage, source, sharedRoom: this.#sharedRoom });
    this.#views.push({ backend, counts, owner, names });
    return counts;
  }

  /**
   * The vocabulary for a file that anyone may write: what it adds to the names of events takes no room from other
   * files.
   */
  vocabularyOfFile(maxUnknownEvents: number): Vocabulary {
    // `other` counts too.
    const qemuEvents = new Names(maxUnknownEvents + 1, this.#vocabulary.qemuEvents.known);
    return { ...this.#vocabulary, qemuEvents };
  }

  /** Asks for the owner of everything in the files: each owner remembers its answers. */
  resolveOwners(): void {
    for (const { counts, owner } of this.#views) for (const id of counts.events.keys()) owner.labelOf(id);
  }

  /** Drops a file and everything that was counted from it. */
  drop(counts: QemuCounts): void {
    counts.release();
    this.#views = this.#views.filter((view) => view.counts !== counts);
  }

  /** Drops everything that was counted for VMs with this label. */
  forget(label: string): void {
    for (const { counts, owner } of this.#views)
      for (const id of [...counts.events.keys()]) if (owner.vmOf?.(id)?.label === label) counts.forget(id);
  }
}
