/**
 * The records of a perf.data, one after the other. perf writes those of the kernel as it reads them, and adds some of
 * its own, whose types are 64 and above:
 *
 *   09 00 00 00                u32 type: 9, a sample
 *   01 00                      u16 misc
 *   68 00                      u16 size of the record, this header included
 *   ...                        fields; see perf-attr.ts
 *
 * Source: enum perf_event_type (include/uapi/linux/perf_event.h), tools/lib/perf/include/perf/event.h (Linux 6.1).
 */
import type { MalformedKind } from '../../trace/sink.js';
import { type PerfAttr, rawPlace, readU64 } from './perf-attr.js';
import type { PerfAttrs } from './perf-attrs.js';
import { BLOCK_SIZE, CONTROL, GAP, type RecordBlock } from './record-block.js';
import { RepeatedRecords } from './repeated-records.js';
import type { Run, TimeOrder } from './time-order.js';

const HEADER = 8;
const NO_CPU = -1;
const TWO_32 = 2 ** 32;
/** common_pid of a record, see record-decoder.ts. */
const COMMON_PID_END = 8;
/** Number of CPUs whose latest event is remembered; CPUs beyond it share entries. A power of two. */
const LATEST_ENTRIES = 4096;

const SAMPLE = 9;
const LOST = 2;
/** Records that change how samples after them are read: COMM, EXIT, FORK. */
const CONTROLS: ReadonlySet<number> = new Set([3, 4, 7]);

/** What the streams of a perf.data have in common. */
export interface StreamOwner {
  readonly order: TimeOrder;
  readonly attrs: PerfAttrs;
  /** True if the file as a whole cannot be used: nothing more is read. */
  readonly isUnusable: boolean;
  /** The event of samples with this id; undefined if there is none. */
  eventOf(id: number): PerfAttr | undefined;
  /** True if the threads of this event are of interest: it is one of KVM's. */
  isWatched(eventId: number): boolean;
  seeThread(tid: number, pid: number, hostTid: number): void;
  /** Any record that is no sample and needs no place in the order. */
  record(stream: RecordStream, type: number, view: DataView, at: number, end: number): void;
  malformed(kind: MalformedKind): void;
  /** No more blocks fit into memory. */
  makeRoom(): void;
}

/** Reads a sequence of records, in pieces of any size, and notes those that have to be put in order. */
export class RecordStream {
  /** The latest time so far; -Infinity if there is none yet. */
  latestNs = Number.NEGATIVE_INFINITY;
  readonly #owner: StreamOwner;
  #block: RecordBlock;
  /** Position in the block of the next record. */
  #at = 0;
  #run: Run | undefined;
  /** Time of the last entry; NaN if there is none. */
  #lastNs = Number.NaN;
  /** True if the next record cannot be found any more. */
  #isBroken = false;
  /** Bytes that follow the current record and are no records, and what they are copied to. */
  #extraBytes = 0;
  #extra: Uint8Array | undefined;
  #onExtra: ((bytes: Uint8Array) => void) | undefined;
  /** Id of the latest sample's event, and the event. */
  #idLow = Number.NaN;
  #idHigh = Number.NaN;
  #attr: PerfAttr | undefined;
  #tid = -1;
  #pid = -1;
  #repeated: RepeatedRecords | undefined;
  /** Index in the block of a loss that ends with the next record; -1 if there is none. */
  #openLoss = -1;
  /** CPU -> time of its latest sample. */
  readonly #latestOfCpuNs = new Float64Array(LATEST_ENTRIES);

  constructor(owner: StreamOwner) {
    this.#owner = owner;
    this.#block = owner.order.openBlock();
  }

  /** True while records can be read. False once the next one cannot be found. */
  get isReadable(): boolean {
    return !this.#isBroken && !this.#owner.isUnusable;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && this.isReadable; ) {
      at += this.#block.fill(chunk, at);
      this.#readRecords();
      if (this.#block.filled === BLOCK_SIZE && this.isReadable) this.#openNextBlock();
    }
  }

  /** The input has ended. */
  end(): void {
    if (this.isReadable && (this.#at < this.#block.filled || this.#extraBytes > 0)) this.#owner.malformed('truncated');
    this.#isBroken = true;
    this.#owner.order.closeBlock(this.#block);
  }

  /** The current record cannot be right: where the next one begins is unknown. */
  breakOff(kind: MalformedKind): void {
    if (!this.#isBroken) this.#owner.malformed(kind);
    this.#isBroken = true;
  }

  /** The next `size` bytes are no records. `use` gets them once they are all there; without it they are skipped. */
  expectExtra(size: number, use?: (bytes: Uint8Array) => void): void {
    this.#extraBytes = size;
    this.#extra = use === undefined ? undefined : new Uint8Array(size);
    this.#onExtra = use;
  }

  #readRecords(): void {
    const { filled } = this.#block;
    const { view } = this.#block.page;
    while (this.isReadable) {
      if (this.#extraBytes > 0 && !this.#takeExtra()) return;
      const at = this.#at;
      if (filled - at < HEADER) return;
      const size = view.getUint16(at + 6, true);
      if (size < HEADER) return this.breakOff('record');
      const end = at + size;
      if (end > filled) return;
      this.#at = end;
      const type = view.getUint32(at, true);
      if (type === SAMPLE) this.#addSample(view, at, end);
      else if (CONTROLS.has(type)) this.#addControl(view, at, end);
      else if (type === LOST) this.#addLoss(view, at, end);
      else this.#owner.record(this, type, view, at, end);
    }
  }

  /** True if all of the bytes are there. */
  #takeExtra(): boolean {
    const { filled, page } = this.#block;
    const taken = Math.min(this.#extraBytes, filled - this.#at);
    const { length = 0 } = this.#extra ?? {};
    this.#extra?.set(page.bytes.subarray(this.#at, this.#at + taken), length - this.#extraBytes);
    this.#at += taken;
    this.#extraBytes -= taken;
    if (this.#extraBytes > 0) return false;
    if (this.#extra !== undefined) this.#onExtra?.(this.#extra);
    this.#extra = undefined;
    return true;
  }

  /** Moves the beginning of a record that is not there in full to another block. */
  #openNextBlock(): void {
    const { order } = this.#owner;
    const rest = this.#block.page.bytes.subarray(this.#at);
    order.closeBlock(this.#block);
    if (order.isFull) this.#owner.makeRoom();
    this.#block = order.openBlock();
    this.#block.fill(rest, 0);
    this.#at = 0;
    this.#run = undefined;
    this.#openLoss = -1;
  }

  #addSample(view: DataView, at: number, end: number): void {
    const attr = this.#attrOfSample(view, at, end);
    if (attr === undefined) return this.#owner.malformed('unknown-event');
    if (!attr.hasRecords) return;
    const { sample } = attr;
    const place = sample.hasRead || sample.hasCallChain ? rawPlace(attr, view, at, end) : at + sample.variable;
    if (place + 4 > end) return this.#owner.malformed('record');
    const start = place + 4;
    const rawEnd = start + view.getUint32(place, true);
    if (rawEnd > end) return this.#owner.malformed('record');
    if (this.#repeated?.has(attr, this.#block.page.bytes, start, rawEnd)) return;
    const timeNs = sample.time < 0 ? this.#lastNs || 0 : readU64(view, at + sample.time);
    const cpu = sample.cpu < 0 ? NO_CPU : Math.max(NO_CPU, view.getInt32(at + sample.cpu, true));
    this.#latestOfCpuNs[cpu & (LATEST_ENTRIES - 1)] = timeNs;
    if (this.#openLoss >= 0) this.#endLoss(timeNs);
    this.#add(start, rawEnd, timeNs, cpu);
    if (sample.tid >= 0 && rawEnd - start >= COMMON_PID_END) this.#seeThread(view, at + sample.tid, attr, start);
  }

  /** The event of a sample. Mostly it is the same as that of the sample before. */
  #attrOfSample(view: DataView, at: number, end: number): PerfAttr | undefined {
    const place = this.#owner.attrs.first?.sample.id ?? -1;
    const hasId = place >= 0 && at + place + 8 <= end;
    const low = hasId ? view.getUint32(at + place, true) : 0;
    const high = hasId ? view.getUint32(at + place + 4, true) : 0;
    if (low === this.#idLow && high === this.#idHigh) return this.#attr;
    if (this.#owner.attrs.hasRepeated) this.#repeated ??= new RepeatedRecords();
    this.#idLow = low;
    this.#idHigh = high;
    this.#attr = this.#owner.eventOf(low + high * TWO_32);
    return this.#attr;
  }

  #seeThread(view: DataView, at: number, { eventId }: PerfAttr, record: number): void {
    const pid = view.getInt32(at, true);
    const tid = view.getInt32(at + 4, true);
    if ((tid === this.#tid && pid === this.#pid) || !this.#owner.isWatched(eventId)) return;
    this.#tid = tid;
    this.#pid = pid;
    this.#owner.seeThread(tid, pid, view.getInt32(record + COMMON_PID_END - 4, true));
  }

  #addControl(view: DataView, at: number, end: number): void {
    const timeNs = this.#timeOf(view, at, end);
    if (this.#openLoss >= 0) this.#endLoss(timeNs);
    this.#add(at, end, timeNs, CONTROL);
  }

  /**
   * Adds two entries. Events are missing from the CPU's latest event on. PERF_RECORD_LOST stands before the first event
   * behind the gap, but its own time is later than that of the event (__perf_output_begin,
   * kernel/events/ring_buffer.c): the event's time is used, once it is known.
   */
  #addLoss(view: DataView, at: number, end: number): void {
    const timeNs = this.#timeOf(view, at, end);
    const cpu = this.#owner.attrs.cpuOf(view, at, end);
    if (this.#openLoss >= 0) this.#endLoss(timeNs);
    this.#add(at, GAP, this.#latestOfCpuNs[cpu & (LATEST_ENTRIES - 1)] as number, CONTROL);
    this.#openLoss = this.#add(at, end, timeNs, CONTROL);
  }

  #endLoss(timeNs: number): void {
    const { timesNs } = this.#block;
    const gapNs = timesNs[this.#openLoss - 1] as number;
    if (timeNs < (timesNs[this.#openLoss] as number) && timeNs >= gapNs) timesNs[this.#openLoss] = timeNs;
    this.#lastNs = timesNs[this.#openLoss] as number;
    this.#openLoss = -1;
  }

  /** That of the entry before if the record has none. */
  #timeOf(view: DataView, at: number, end: number): number {
    return this.#owner.attrs.timeOf(view, at, end) ?? (this.#lastNs || 0);
  }

  #add(start: number, end: number, timeNs: number, cpu: number): number {
    const { order } = this.#owner;
    const index = this.#block.add(start, end, timeNs, cpu);
    const run = this.#run;
    if (run !== undefined && run.next < run.end && timeNs >= this.#lastNs) run.end = index + 1;
    else this.#run = order.addRun(this.#block);
    this.#lastNs = timeNs;
    if (timeNs > this.latestNs) this.latestNs = timeNs;
    return index;
  }
}
