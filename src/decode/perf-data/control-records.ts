/**
 * Records of the kernel that are no samples but have a place among them. Behind the header of 8 bytes:
 *
 *   COMM 3      u32 pid, u32 tid, name, NUL ...
 *   EXIT 4      u32 pid, u32 ppid, u32 tid, u32 ptid, u64 time
 *   FORK 7      the same
 *   LOST 2      u64 id, u64 number of events that found no room in the buffer of a CPU
 *
 * Source: enum perf_event_type, include/uapi/linux/perf_event.h (Linux 6.18).
 */
import { latin1 } from '../../trace/names.js';
import { type TraceSink, UNKNOWN_LOSS } from '../../trace/sink.js';
import { readU64 } from './perf-attr.js';
import type { PerfAttrs } from './perf-attrs.js';
import { GAP, type RecordBlock } from './record-block.js';
import type { ThreadNames } from './thread-names.js';

const LOST = 2;
const COMM = 3;
const EXIT = 4;
const FORK = 7;
/** Bytes of the shortest of these records that are used. */
const MIN_SIZE = 24;
/** Length of a thread's name with its NUL (TASK_COMM_LEN). */
const MAX_COMM = 16;

export class ControlRecords {
  /** Events that PERF_RECORD_LOST reports. */
  lost = 0;
  readonly #attrs: PerfAttrs;
  readonly #threads: ThreadNames;
  readonly #sink: TraceSink;

  constructor(attrs: PerfAttrs, threads: ThreadNames, sink: TraceSink) {
    this.#attrs = attrs;
    this.#threads = threads;
    this.#sink = sink;
  }

  /** Reports the entry of a block. */
  read({ page: { bytes, view }, starts, ends }: RecordBlock, index: number): void {
    const at = starts[index] as number;
    const end = at + view.getUint16(at + 6, true);
    if (end - at < MIN_SIZE) return this.#sink.malformed('record');
    const type = view.getUint32(at, true);
    const first = view.getInt32(at + 8, true);
    if (type === LOST) this.#readLoss(view, at, end, ends[index] === GAP);
    else if (type === COMM) this.#threads.rename(view.getInt32(at + 12, true), first, commAt(bytes, at + 16, end));
    else if (type === FORK) this.#threads.start(view.getInt32(at + 16, true), first, view.getInt32(at + 20, true));
    else if (type === EXIT) this.#threads.end(view.getInt32(at + 16, true));
  }

  #readLoss(view: DataView, at: number, end: number, isBegin: boolean): void {
    const cpu = this.#attrs.cpuOf(view, at, end);
    if (isBegin) return this.#sink.gapAhead(cpu);
    const count = readU64(view, at + 16);
    const isKnown = count > 0 && count <= Number.MAX_SAFE_INTEGER;
    if (isKnown) this.lost += count;
    this.#sink.lost(cpu, isKnown ? count : UNKNOWN_LOSS);
  }
}

function commAt(bytes: Uint8Array, start: number, end: number): string {
  const limit = Math.min(end, start + MAX_COMM);
  const nul = bytes.subarray(start, limit).indexOf(0);
  return latin1(bytes, start, nul < 0 ? limit : start + nul);
}
