import type { ThreadListener } from '../count/kernel-counts.js';
import { ALL_COLLECTORS, Ledger } from '../count/ledger.js';
import type { TraceEvents } from '../decode/qemu/trace-events.js';
import type { ReplayOptions, ReplaySinks } from '../source/recording/formats/recording-format.js';
import { isPageRecording, isPerfDirectory, type Recording } from '../source/recording/open-recordings.js';
import type { PageRecording } from '../source/recording/pages/page-recording.js';
import { replayPages } from '../source/recording/pages/replay-pages.js';
import type { SavedThread } from '../source/recording/pages/saved-threads.js';
import type { PerfDirectory } from '../source/recording/perf-directory.js';
import type { RecordingFile } from '../source/recording/recording-file.js';
import { replayFile } from '../source/recording/replay-file.js';
import { replayPerfDirectory } from '../source/recording/replay-perf-directory.js';
import type { Inventory } from '../vm/inventory.js';
import { attributionOf } from './attribution.js';
import { KNOWN_NAMES } from './known-names.js';
import { QemuFileOwner } from './qemu-file-owner.js';

export interface RecordingCounterOptions {
  /** The list of trace events of the QEMU that wrote the recordings. */
  readonly traceEvents: TraceEvents | undefined;
  /** A copy of the host's tracefs that the user names, for files that do not say how to read them. */
  readonly tracefs: string | undefined;
  /** Called with the number of bytes read from disk since the last call. */
  readonly onRead: (bytes: number) => void;
  /** Called with each thing that the user should know about how a recording was made. */
  readonly onWarning: (warning: string) => void;
}

/** A report is read once, so its series need no budget: every address is counted, within reason. */
const MAX_ADDRESSES = 4096;

/** Counts recordings, and learns from them which threads belong to which VM. */
export class RecordingCounter {
  readonly ledger: Ledger;
  readonly #inventory: Inventory;
  readonly #options: RecordingCounterOptions;
  /** Thread names in the recordings, by thread id. */
  readonly #comms = new Map<number, string>();

  constructor(inventory: Inventory, options: RecordingCounterOptions) {
    this.#inventory = inventory;
    this.#options = options;
    this.ledger = new Ledger(attributionOf(inventory, { comms: this.#comms }), {
      knownNames: KNOWN_NAMES,
      collectors: { ...ALL_COLLECTORS, ioCapacity: MAX_ADDRESSES },
      ioAddresses: MAX_ADDRESSES,
    });
  }

  async count(recording: Recording): Promise<void> {
    if (isPageRecording(recording)) await this.#countPages(recording);
    else if (isPerfDirectory(recording)) await this.#countPerfDirectory(recording);
    else await this.#countFile(recording);
  }

  /**
   * Attributes everything that was counted. Call it after the last recording: only then is every thread known.
   * @param savedThreads the kernel's own notes of threads, by recording
   */
  finish(savedThreads: readonly (readonly SavedThread[])[]): void {
    const unknown = [...new Set(this.ledger.vcpuThreadIds())].filter((tid) => this.#inventory.find(tid) === undefined);
    for (const threads of savedThreads) this.#addSavedThreads(threads, unknown);
    // A thread that ran a vCPU belongs to a VM, whatever the thread is called.
    for (const { tid, vcpu } of this.ledger.vcpus()) {
      if (vcpu >= 0) this.#inventory.learnVcpu(tid, vcpu);
      else this.#inventory.requestLookup(tid, true);
      this.#inventory.resolvePending(0);
    }
    this.ledger.settle();
  }

  readonly #onThread: ThreadListener = (tid, tgid, comm) => {
    this.#inventory.addThread(tid, tgid, comm);
    if (comm !== '' || !this.#comms.has(tid)) this.#comms.set(tid, comm);
  };

  async #countPages(recording: PageRecording): Promise<void> {
    const { onRead, onWarning } = this.#options;
    // Exits and entries on different clocks cannot be paired, so they are counted apart.
    for (const [index, buffers] of recording.buffers.entries()) {
      const counts = this.ledger.kernelSource('ftrace', this.#onThread);
      await replayPages(buffers, recording.formats, { vocabulary: this.ledger.vocabulary, sink: counts, onRead });
      if (index === 0) counts.source.overruns = overrunsOf(recording, counts.source.unknownGaps);
    }
    for (const warning of recording.warnings()) onWarning(warning);
  }

  async #countPerfDirectory(directory: PerfDirectory): Promise<void> {
    const { onRead, onWarning } = this.#options;
    const warnings = await replayPerfDirectory(
      directory,
      this.#sinksFor(directory.path),
      this.#replayOptions(),
      onRead,
    );
    for (const warning of warnings) onWarning(warning);
  }

  async #countFile(recording: RecordingFile): Promise<void> {
    const { path, format } = recording;
    const { onRead, onWarning } = this.#options;
    const reader = format.createReader(path, this.#sinksFor(path), this.#replayOptions());
    await replayFile(recording, reader, onRead);
    for (const warning of reader.warnings()) onWarning(warning);
  }

  #sinksFor(path: string): ReplaySinks {
    return {
      kernel: () => this.ledger.kernelSource('ftrace', this.#onThread),
      qemu: (backend) => this.ledger.qemuSource(backend, new QemuFileOwner(this.#inventory, path, backend)),
    };
  }

  #replayOptions(): ReplayOptions {
    const { traceEvents, tracefs } = this.#options;
    return { vocabulary: this.ledger.vocabulary, traceEvents, tracefs };
  }

  /**
   * Adds the names and processes that the kernel noted of the threads that no /proc knows. The notes also hold threads
   * that ended long before, so the rest is left out.
   */
  #addSavedThreads(threads: readonly SavedThread[], unknown: readonly number[]): void {
    const saved = new Map(threads.map((thread) => [thread.tid, thread]));
    const seen = unknown.flatMap((tid) => saved.get(tid) ?? []);
    for (const { tid, tgid, comm } of [...seen.flatMap(({ tgid }) => saved.get(tgid) ?? []), ...seen])
      this.#onThread(tid, tgid, this.#comms.get(tid) ?? comm);
  }
}

function overrunsOf(
  { overruns, overrunsFillGaps }: PageRecording,
  unknownGaps: ReadonlyMap<number, number>,
): ReadonlyMap<number, number> {
  return overrunsFillGaps ? overruns : new Map([...overruns].filter(([cpu]) => !unknownGaps.has(cpu)));
}
