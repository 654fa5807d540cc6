import { statSync } from 'node:fs';
import type { SourceCounts } from '../../count/counters/source-counts.js';
import type { ThreadListener } from '../../count/kernel-counts.js';
import { ALL_COLLECTORS, Ledger } from '../../count/ledger.js';
import type { TraceEvents } from '../../decode/qemu/trace-events.js';
import type { ReplaySinks } from '../../source/recording/formats/recording-format.js';
import { isPageRecording, isPerfDirectory, type Recording } from '../../source/recording/open-recordings.js';
import type { PageRecording } from '../../source/recording/pages/page-recording.js';
import { type RecordingWarnings, withCut } from '../../source/recording/pages/recording-warnings.js';
import { replayPages } from '../../source/recording/pages/replay-pages.js';
import type { SavedThread } from '../../source/recording/pages/saved-threads.js';
import type { PerfDirectory } from '../../source/recording/perf-directory.js';
import type { RecordingFile } from '../../source/recording/recording-file.js';
import { replayFile } from '../../source/recording/replay-file.js';
import { replayPerfDirectory } from '../../source/recording/replay-perf-directory.js';
import { AgentError } from '../../system/errors.js';
import type { WindowEdges } from '../../trace/time-window.js';
import { KernelWindowSink, QemuWindowSink } from '../../trace/window-sinks.js';
import type { Inventory } from '../../vm/inventory.js';
import { attributionOf } from '../attribution.js';
import { KNOWN_NAMES } from '../known-names.js';
import { QemuFileOwner } from '../qemu-file-owner.js';
import { RecordedTimes } from './recorded-times.js';
import { StartFinder } from './start-finder.js';
import { UnprovedRows } from './unproved-rows.js';

export interface RecordingCounterOptions {
  /** The list of trace events of the QEMU that wrote the recordings. */
  readonly traceEvents: TraceEvents | undefined;
  /** A copy of the host's tracefs that the user names, for files that do not say how to read them. */
  readonly tracefs: string | undefined;
  /** The part of the recordings to count. */
  readonly window: WindowEdges;
  /** Called with the number of bytes read from disk since the last call. */
  readonly onRead: (bytes: number) => void;
  /** Called with each thing that the user should know about how a recording was made. */
  readonly onWarning: (warning: string) => void;
}

const OVERRUNS_WITHOUT_TIME =
  'its statistics do not say when events were lost, so they are not used with --since and --until';

const NOT_DECODED =
  'nothing in its pages could be decoded: they are damaged, or the tracefs is not that of their host; give it, or a copy: --path.tracefs=DIR';
const CUT_BEFORE_EVENTS = 'ends before its first event: it is cut; copy or record it again';
const NO_EVENTS = 'no event is in its pages; save per_cpu/cpuN/trace_pipe_raw while VMs run and tracing is on';

/** A report is read once, so its series need no budget: every address is counted, within reason. */
const MAX_ADDRESSES = 4096;

/** Counts recordings, and learns from them which threads belong to which VM. */
export class RecordingCounter {
  readonly ledger: Ledger;
  readonly times: RecordedTimes;
  readonly #inventory: Inventory;
  readonly #options: RecordingCounterOptions;
  /** Thread names in the recordings, by thread id. */
  readonly #comms = new Map<number, string>();
  readonly #unproved: UnprovedRows;
  #paths: readonly string[] = [];
  /** Exits to QEMU that may be failed calls of KVM_RUN, which the recordings do not tell. */
  undecidedExits = 0;

  constructor(inventory: Inventory, options: RecordingCounterOptions) {
    this.#inventory = inventory;
    this.#options = options;
    this.times = new RecordedTimes(options.window);
    this.#unproved = new UnprovedRows(inventory, options.onWarning);
    this.ledger = new Ledger(
      attributionOf(inventory, { comms: this.#comms, rowOf: (tid) => this.#unproved.rowOf(tid) }),
      {
        knownNames: KNOWN_NAMES,
        collectors: { ...ALL_COLLECTORS, ioCapacity: MAX_ADDRESSES },
        ioAddresses: MAX_ADDRESSES,
        indices: MAX_ADDRESSES,
      },
    );
  }

  /** Rows of QEMU's traces whose exits the kernel's trace may have, too, under the names of other rows. */
  get repeatedRows(): ReadonlySet<string> {
    return this.#unproved.repeated;
  }

  async count(recordings: readonly Recording[]): Promise<void> {
    this.#paths = recordings.map(({ path }) => path);
    // The start of a single recording is its first event.
    if (recordings.length > 1 && this.times.needsStarts)
      for (const recording of recordings) await this.#findStart(recording);
    for (const recording of recordings) {
      if (isPageRecording(recording)) await this.#countPages(recording);
      else await this.#countEvents(recording);
    }
    this.times.requireEvents();
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
    this.#unproved.giveRows(this.ledger, this.#comms, this.#paths);
    this.ledger.settle();
    this.#unproved.findRepeated(this.ledger);
  }

  readonly #onThread: ThreadListener = (tid, tgid, comm) => {
    this.#inventory.addThread(tid, tgid, comm);
    if (comm !== '' || !this.#comms.has(tid)) this.#comms.set(tid, comm);
  };

  async #countPages(recording: PageRecording): Promise<void> {
    const { onRead, onWarning } = this.#options;
    const { vocabulary } = this.ledger;
    const sources: SourceCounts[] = [];
    // Exits and entries on different clocks cannot be paired, so they are counted apart.
    for (const [index, buffers] of recording.buffers.entries()) {
      const counts = this.ledger.kernelSource('ftrace', this.#onThread);
      sources.push(counts.source);
      const window = this.times.open(clockOf(index));
      const sink = new KernelWindowSink(counts, window);
      await replayPages(buffers, recording.formats, { vocabulary, sink, onRead });
      sink.end();
      const overruns = index === 0 ? overrunsOf(recording, counts.source.unknownGaps) : new Map();
      if (!window.isLimited) counts.source.overruns = overruns;
      else if (sumOf(overruns) > 0) onWarning(`${recording.path}: ${OVERRUNS_WITHOUT_TIME}`);
    }
    const warnings = recording.warnings();
    this.#warn(recording.path, warnings, sources);
    this.#requireDecoded(recording, sources, warnings.coverCut === true);
  }

  /** @throws AgentError if nothing could be decoded of pages, or of a recording that is cut */
  #requireDecoded({ path, size }: PageRecording, sources: readonly SourceCounts[], isCut: boolean): void {
    const { since, until } = this.#options.window;
    const isWhole = since === undefined && until === undefined;
    if (
      !isWhole ||
      (size === 0 && !isCut) ||
      sources.some(({ events, lost, unknownGaps }) => events + lost.size + unknownGaps.size > 0)
    )
      return;
    const damaged = sources.reduce((sum, { malformed }) => sum + sumOf(malformed), 0);
    if (damaged > 0) throw new AgentError(`${path}: ${NOT_DECODED}`);
    if (isCut) throw new AgentError(`${path}: ${CUT_BEFORE_EVENTS}`);
    if (statSync(path).isDirectory()) throw new AgentError(`${path}: ${NO_EVENTS}`);
  }

  async #countEvents(recording: RecordingFile | PerfDirectory): Promise<void> {
    const fileName = isPerfDirectory(recording) ? recording.path : recording.fileName;
    const sinks: (KernelWindowSink | QemuWindowSink)[] = [];
    const sources: SourceCounts[] = [];
    const warnings = await this.#replay(recording, {
      kernel: () => {
        const counts = this.ledger.kernelSource('ftrace', this.#onThread);
        const sink = new KernelWindowSink(counts, this.times.open('kernel'));
        sources.push(counts.source);
        sinks.push(sink);
        return sink;
      },
      qemu: (backend) => {
        const rowOf = (tid: number) => this.#unproved.rowOf(tid);
        const owner = new QemuFileOwner(this.#inventory, fileName, backend, undefined, rowOf);
        const counts = this.ledger.qemu.add(backend, owner);
        this.#unproved.addQemuFile({ path: recording.path, counts, owner });
        const sink = new QemuWindowSink(counts, this.times.open(backend));
        sources.push(counts.source);
        sinks.push(sink);
        return sink;
      },
    });
    for (const sink of sinks) sink.end();
    this.#warn(recording.path, warnings, sources);
  }

  /** Warns the user at once, because the report may be long. @param sources what was counted of the recording */
  #warn(path: string, warnings: RecordingWarnings, sources: readonly SourceCounts[]): void {
    const isCut = sources.some(({ malformed }) => malformed.has('truncated'));
    for (const line of withCut(path, warnings, isCut)) this.#options.onWarning(line);
  }

  /** Reads as much of a recording as it takes to know when it begins. */
  async #findStart(recording: Recording): Promise<void> {
    const finders: StartFinder[] = [];
    const finderOf = (clock: string) => {
      const finder = new StartFinder(clock);
      finders.push(finder);
      return finder;
    };
    if (isPageRecording(recording)) {
      for (const [index, buffers] of recording.buffers.entries()) {
        const sink = finderOf(clockOf(index));
        const { vocabulary } = this.ledger;
        await replayPages(buffers, recording.formats, { vocabulary, sink, isDone: () => sink.isDone });
      }
    } else {
      const isDone = () => finders.some((finder) => finder.isDone);
      await this.#replay(recording, { kernel: () => finderOf('kernel'), qemu: finderOf }, isDone);
    }
    for (const { clock, startNs, isDone } of finders) if (isDone) this.times.noteStart(clock, startNs);
  }

  /**
   * Reads a recording until `isDone` returns true, by default to its end. Returns what the user should know about how
   * it was made.
   */
  async #replay(
    recording: RecordingFile | PerfDirectory,
    sinks: ReplaySinks,
    isDone?: () => boolean,
  ): Promise<RecordingWarnings> {
    const { traceEvents, tracefs, onRead } = this.#options;
    const options = { vocabulary: this.ledger.vocabulary, traceEvents, tracefs };
    const limits = isDone === undefined ? { onRead } : { isDone };
    if (isPerfDirectory(recording)) return await replayPerfDirectory(recording, sinks, options, limits);
    const reader = recording.format.createReader(recording.path, sinks, options);
    await replayFile(recording, reader, limits);
    if (isDone === undefined) this.undecidedExits += reader.undecidedExits ?? 0;
    return reader.warnings();
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

/** Buffers of one recording that do not share a clock are numbered. */
function clockOf(buffers: number): string {
  return buffers === 0 ? 'kernel' : `kernel ${buffers}`;
}

function sumOf(counts: { values(): Iterable<number> }): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
