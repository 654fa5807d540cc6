/**
 * The ring buffers of all CPUs, read as pages (`per_cpu/cpuN/trace_pipe_raw`) and merged by time.
 *
 * Reads never block: an empty buffer says EAGAIN, or reads as 0 bytes, which is not its end. A pending read would hold one of libuv's
 * few threads, and a reader that waits makes the kernel wake it per event. So the caller drains on a tick.
 *
 * A vCPU's thread moves between host CPUs and leaves its events in several buffers. They are brought in order by a heap of one
 * cursor a CPU; pages that have no thread in common need no order (open-pages.ts). What is newer than the drain's start waits for the
 * next one: another CPU, already found empty, may have got an older event since.
 */
import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { PageCursor } from '../../decode/ftrace/page-cursor.js';
import type { RecordDecoder } from '../../decode/ftrace/record-decoder.js';
import { fileError, isTransientReadError } from '../../system/errors.js';
import { CpuHeap } from './cpu-heap.js';

/** Between two looks at the clock: a few hundred microseconds. */
const EVENTS_PER_LOOK = 4096;

interface CpuBuffer {
  readonly cursor: PageCursor;
  readonly fd: number;
  readonly page: Buffer;
  /** In this drain. */
  pagesRead: number;
}

export interface Drained {
  readonly events: number;
  /** Bytes of buffer read from the busiest CPU: how far the writer was ahead. */
  readonly mostBytes: number;
  /** The time was up before the buffers were empty. */
  readonly behind: boolean;
}

export const NOTHING: Drained = { events: 0, mostBytes: 0, behind: false };

export class RingBuffers {
  readonly #path: string;
  readonly #decoder: RecordDecoder;
  readonly #pageSize: number;
  readonly #cpus = new Map<number, CpuBuffer>();
  /** The CPUs that have a page loaded. */
  readonly #heap: CpuHeap<CpuBuffer>;

  /**
   * @param path the instance, or tracefs itself
   * @param pageSize bytes of a sub-buffer: what one read delivers
   * @throws AgentError where a buffer can't be opened
   */
  constructor(path: string, pageSize: number, decoder: RecordDecoder) {
    this.#path = path;
    this.#pageSize = pageSize;
    this.#decoder = decoder;
    this.#heap = new CpuHeap(decoder.openPages);
    try {
      this.openNewCpus();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** CPUs can be plugged in. A CPU that was unplugged keeps its buffer, and what is in it. */
  openNewCpus(): void {
    const folder = join(this.#path, 'per_cpu');
    for (const name of readFolder(folder)) {
      const cpu = Number(/^cpu(\d+)$/.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(cpu) || this.#cpus.has(cpu)) continue;
      const fd = openNonBlocking(join(folder, name, 'trace_pipe_raw'));
      this.#cpus.set(cpu, {
        cursor: new PageCursor(this.#decoder, cpu),
        fd,
        page: Buffer.allocUnsafeSlow(this.#pageSize),
        pagesRead: 0,
      });
    }
  }

  get cpus(): readonly number[] {
    return [...this.#cpus.keys()];
  }

  /**
   * Delivers what is there, oldest first.
   * @param untilNs on the trace's clock: what is newer stays for the next drain
   * @param deadlineMs of performance.now(): when to stop and say {@link Drained.behind}
   */
  drain(untilNs: number, deadlineMs: number, nowMs: () => number): Drained {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0; // EAGAIN is an ordinary answer here, and a stack trace its dearest part
    try {
      this.#fillAll();
      let events = 0;
      let lookAt = EVENTS_PER_LOOK;
      for (;;) {
        const { first } = this.#heap;
        if (first === undefined || first.cursor.nextTimeNs > untilNs) return this.#drained(events, false);
        events += this.#heap.runFirst(untilNs);
        if (first.cursor.nextTimeNs === Number.POSITIVE_INFINITY) this.#read(first);
        this.#heap.settleFirst();
        if (events < lookAt) continue;
        if (nowMs() > deadlineMs) return this.#drained(events, true);
        lookAt = events + EVENTS_PER_LOOK;
      }
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  close(): void {
    for (const { fd } of this.#cpus.values()) closeSync(fd);
    this.#cpus.clear();
    this.#heap.clear();
  }

  #drained(events: number, behind: boolean): Drained {
    let mostPages = 0;
    for (const buffer of this.#cpus.values()) {
      mostPages = Math.max(mostPages, buffer.pagesRead);
      buffer.pagesRead = 0;
    }
    return { events, mostBytes: mostPages * this.#pageSize, behind };
  }

  /** Gives every CPU that has no page one, if there is one. */
  #fillAll(): void {
    for (const buffer of this.#cpus.values()) {
      if (buffer.cursor.nextTimeNs === Number.POSITIVE_INFINITY && this.#read(buffer)) this.#heap.add(buffer);
    }
  }

  /** Loads the next page that has events. False where the buffer is empty. */
  #read(buffer: CpuBuffer): boolean {
    for (;;) {
      const length = readPage(buffer);
      if (length === 0) return false;
      buffer.pagesRead++;
      buffer.cursor.load(length === buffer.page.length ? buffer.page : buffer.page.subarray(0, length));
      if (buffer.cursor.nextTimeNs !== Number.POSITIVE_INFINITY) return true;
    }
  }
}

/** 0 where there is nothing to read now. */
function readPage({ fd, page }: CpuBuffer): number {
  try {
    return readSync(fd, page, 0, page.length, null);
  } catch (error) {
    if (isTransientReadError(error)) return 0;
    throw error;
  }
}

function readFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw fileError(folder, error);
  }
}

export function openNonBlocking(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw fileError(path, error);
  }
}
