/**
 * The ring buffers of all CPUs, read as pages (`per_cpu/cpuN/trace_pipe_raw`) and merged by time.
 *
 * Reads never block: an empty buffer answers EAGAIN, or 0 bytes, which is not its end. A pending read would occupy one
 * of libuv's few threads, and the kernel would wake a waiting reader for each event. So the caller drains the buffers
 * on a timer.
 *
 * The thread of a vCPU moves between host CPUs and leaves its events in several buffers, which {@link CpuMerge} puts in
 * order. Events newer than the start of a drain wait for the next drain: a CPU whose buffer was already found empty may
 * have written an older one since.
 *
 * Looking at all CPUs takes time in proportion to their number. While nothing happens on a host, a drain looks at a few
 * of them, in turns, and at all of them once one has events.
 */
import { join } from 'node:path';
import { PageCursor } from '../../decode/ftrace/page-cursor.js';
import type { RecordDecoder } from '../../decode/ftrace/record-decoder.js';
import { listFolder } from '../../system/files.js';
import { CpuMerge } from './cpu-merge.js';
import { CpuStats, cpuOf, readLost } from './cpu-stats.js';
import { ReadWitness } from './read-witness.js';
import { BufferFile, type Drained, type OnForeignRead, type TraceReader } from './trace-reader.js';

/** Events between two looks at the clock: a few hundred microseconds. */
const EVENTS_PER_CLOCK_READ = 4096;
/** Drains of a quiet host in which each CPU is looked at once, and the least number of CPUs that one looks at. */
const QUIET_DRAINS = 8;
const MIN_QUIET_LOOKS = 4;

/** A tracing instance whose buffers are read. */
interface Instance {
  readonly path: string;
  readonly decoder: RecordDecoder;
  /** Bytes of a sub-buffer: what one read returns. */
  readonly pageSize: number;
  /** The CPUs whose buffers are open. */
  readonly cpus: Set<number>;
}

interface CpuBuffer {
  readonly cpu: number;
  readonly cursor: PageCursor;
  readonly file: BufferFile;
  readonly page: Buffer;
  /** Pages read in this drain. */
  pagesRead: number;
  /** Undefined if other programs may read the buffer, too. */
  readonly witness: ReadWitness | undefined;
  /** Read by the witness. */
  readonly stats: CpuStats;
  /** Events read since the witness compared; NaN if a page of unknown content was read. */
  events: number;
}

export class RingBuffers implements TraceReader {
  readonly #instances: Instance[] = [];
  readonly #buffers: CpuBuffer[] = [];
  /** The CPUs that have a page loaded. */
  readonly #merge: CpuMerge<CpuBuffer>;
  readonly #onForeignRead: OnForeignRead | undefined;
  /** True if the last drain found no event on any CPU. */
  #foundNothing = false;
  /** Number of looks of quiet drains so far: they look at the CPUs in turns. */
  #quietLooks = 0;

  /**
   * @param path the instance, or tracefs itself
   * @param pageSize bytes of a sub-buffer: what one read returns
   * @param onForeignRead undefined if other programs may read the buffers
   * @throws AgentError if a buffer cannot be opened
   */
  constructor(path: string, pageSize: number, decoder: RecordDecoder, onForeignRead?: OnForeignRead) {
    this.#onForeignRead = onForeignRead;
    this.#merge = new CpuMerge(decoder.openPages);
    this.add(path, pageSize, decoder);
  }

  /**
   * Reads another instance too, and merges its events with those of the first.
   * @param decoder one that shares the first decoder's open pages
   * @throws AgentError if a buffer cannot be opened; everything is closed then
   */
  add(path: string, pageSize: number, decoder: RecordDecoder): void {
    this.#instances.push({ path, pageSize, decoder, cpus: new Set() });
    try {
      this.openNewCpus();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** A CPU that is unplugged keeps its buffer and the events in it, so it stays open. */
  openNewCpus(): void {
    for (const { path, pageSize, decoder, cpus } of this.#instances) {
      const folder = join(path, 'per_cpu');
      for (const name of listFolder(folder)) {
        const cpu = cpuOf(name);
        if (Number.isNaN(cpu) || cpus.has(cpu)) continue;
        const file = new BufferFile(join(folder, name, 'trace_pipe_raw'));
        const stats = new CpuStats(join(folder, name));
        cpus.add(cpu);
        this.#buffers.push({
          cpu,
          cursor: new PageCursor(decoder, cpu),
          file,
          page: Buffer.allocUnsafeSlow(pageSize),
          pagesRead: 0,
          stats,
          witness: this.#onForeignRead === undefined ? undefined : new ReadWitness([stats]),
          events: 0,
        });
      }
    }
  }

  findForeignReads(): void {
    for (const buffer of this.#buffers) this.#look(buffer);
  }

  drain(untilNs: number, deadlineMs: number, nowMs: () => number, isQuiet = false): Drained {
    if (isQuiet && this.#foundNothing && this.#findsNothing()) return NOTHING;
    // First, because an exit before a gap must not pair with an entry after it.
    this.findForeignReads();
    this.#loadEmpty();
    let events = 0;
    let readClockAt = EVENTS_PER_CLOCK_READ;
    for (;;) {
      const { first } = this.#merge;
      if (first === undefined || first.cursor.nextTimeNs > untilNs) return this.#drained(false);
      events += this.#merge.runFirst(untilNs);
      if (first.cursor.nextTimeNs === Number.POSITIVE_INFINITY) this.#loadPage(first);
      this.#merge.updateFirst();
      if (events < readClockAt) continue;
      if (nowMs() > deadlineMs) return this.#drained(true);
      readClockAt = events + EVENTS_PER_CLOCK_READ;
    }
  }

  overruns(): Map<number, number> {
    return readLost(this.#buffers.map(({ cpu, stats }) => [cpu, stats]));
  }

  close(): void {
    for (const { file, stats } of this.#buffers.splice(0)) {
      file.close();
      stats.close();
    }
    this.#merge.clear();
  }

  /** Looks at the next few CPUs. True if they have no events. */
  #findsNothing(): boolean {
    const { length } = this.#buffers;
    const looks = Math.max(Math.min(length, MIN_QUIET_LOOKS), Math.ceil(length / QUIET_DRAINS));
    for (let look = 0; look < looks; look++) {
      const buffer = this.#buffers[this.#quietLooks++ % length];
      if (buffer === undefined) return false;
      this.#look(buffer);
      // Without statistics it is not known.
      if (buffer.stats.waiting !== 0) return false;
    }
    return true;
  }

  /** Reads the statistics of a CPU, and reports what other programs read from its buffer. */
  #look(buffer: CpuBuffer): void {
    const foreign = buffer.witness?.compare(buffer.events) ?? 0;
    buffer.events = 0;
    if (foreign !== 0) this.#onForeignRead?.(foreign);
  }

  #drained(behind: boolean): Drained {
    let mostBytes = 0;
    for (const buffer of this.#buffers) {
      mostBytes = Math.max(mostBytes, buffer.pagesRead * buffer.page.length);
      buffer.pagesRead = 0;
    }
    this.#foundNothing = mostBytes === 0 && this.#merge.first === undefined;
    return { mostBytes, behind };
  }

  /**
   * Loads a page for every CPU that has no events left, if its buffer has one. A buffer without events, which the
   * statistics that were just read show, is not read: the answer EAGAIN takes twice as long as the statistics.
   */
  #loadEmpty(): void {
    for (const buffer of this.#buffers) {
      if (buffer.stats.waiting === 0) continue;
      if (buffer.cursor.nextTimeNs === Number.POSITIVE_INFINITY && this.#loadPage(buffer)) this.#merge.add(buffer);
    }
  }

  /** Loads the next page that has events. False if the buffer is empty. */
  #loadPage(buffer: CpuBuffer): boolean {
    for (;;) {
      const length = buffer.file.read(buffer.page);
      if (length === 0) return false;
      buffer.pagesRead++;
      buffer.cursor.load(length === buffer.page.length ? buffer.page : buffer.page.subarray(0, length));
      buffer.events += buffer.cursor.pageEvents;
      if (buffer.cursor.nextTimeNs !== Number.POSITIVE_INFINITY) return true;
    }
  }
}

const NOTHING: Drained = { mostBytes: 0, behind: false };
