/**
 * Writes perf.data as perf does. Written after include/uapi/linux/perf_event.h and
 * tools/perf/Documentation/perf.data-file-format.txt (Linux 6.1), not after our decoder. Ids, offsets and times are
 * BigInt, so they are exact.
 */

/** Bits of sample_type, as the header file names them. */
export const SAMPLE = {
  IP: 1n << 0n,
  TID: 1n << 1n,
  TIME: 1n << 2n,
  ADDR: 1n << 3n,
  READ: 1n << 4n,
  CALLCHAIN: 1n << 5n,
  ID: 1n << 6n,
  CPU: 1n << 7n,
  PERIOD: 1n << 8n,
  STREAM_ID: 1n << 9n,
  RAW: 1n << 10n,
  IDENTIFIER: 1n << 16n,
} as const;

/** What perf asks for if it records tracepoints. */
export const USUAL = SAMPLE.IDENTIFIER | SAMPLE.IP | SAMPLE.TID | SAMPLE.TIME | SAMPLE.CPU | SAMPLE.PERIOD | SAMPLE.RAW;

export interface PerfEvent {
  /** PERF_TYPE_TRACEPOINT is 2. */
  readonly type?: number;
  /** ID of the tracepoint. */
  readonly config: number;
  readonly ids: readonly bigint[];
  readonly sampleType?: bigint;
  readonly readFormat?: bigint;
  readonly period?: bigint;
  /** True for `-F`. */
  readonly freq?: boolean;
  /** False for a perf of long ago: only samples have ids and times. */
  readonly sampleIdAll?: boolean;
}

/** The place and time of something that happened. */
export interface Context {
  readonly id?: bigint;
  readonly pid?: number;
  readonly tid?: number;
  readonly time?: bigint;
  readonly cpu?: number;
  /** Content of the fields READ and CALLCHAIN, after one another. */
  readonly variable?: readonly bigint[];
}

/** Records, one after the other, and the events that they are about. */
export class PerfBuilder {
  readonly #events: PerfEvent[];
  readonly #parts: Buffer[] = [];

  constructor(...events: PerfEvent[]) {
    this.#events = events;
  }

  /** A sample of the event with the id in `context`. `raw`: struct trace_entry and the fields behind it. */
  sample(context: Context, raw: Uint8Array): this {
    const { sampleType = USUAL } = this.#eventOf(context.id);
    const size = Buffer.alloc(4);
    // perf_prepare_sample: the length of the raw data and its own four bytes are a multiple of eight.
    const padded = Math.ceil((raw.length + 4) / 8) * 8 - 4;
    size.writeUInt32LE(padded);
    const rawField = (sampleType & SAMPLE.RAW) === 0n ? [] : [size, raw, Buffer.alloc(padded - raw.length)];
    return this.record(9, u64s(...sampleFields(sampleType, context), ...(context.variable ?? [])), ...rawField);
  }

  comm(context: Context, comm: string): this {
    const text = Buffer.alloc(Math.ceil((comm.length + 1) / 8) * 8);
    text.write(comm, 'latin1');
    return this.record(3, u32s(context.pid ?? 0, context.tid ?? 0), text, this.#trailer(context));
  }

  fork(context: Context, parentPid: number, parentTid: number): this {
    return this.#task(7, context, parentPid, parentTid);
  }

  exit(context: Context): this {
    return this.#task(4, context, context.pid ?? 0, context.pid ?? 0);
  }

  lost(context: Context, count: bigint): this {
    return this.record(2, u64s(context.id ?? 0n, count), this.#trailer(context));
  }

  lostSamples(context: Context, count: bigint, misc = 0): this {
    return this.recordWithMisc(13, misc, u64s(count), this.#trailer(context));
  }

  finishedRound(): this {
    return this.record(68);
  }

  record(type: number, ...body: readonly Uint8Array[]): this {
    return this.recordWithMisc(type, 0, ...body);
  }

  recordWithMisc(type: number, misc: number, ...body: readonly Uint8Array[]): this {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(type);
    header.writeUInt16LE(misc, 4);
    header.writeUInt16LE(8 + body.reduce((sum, { length }) => sum + length, 0), 6);
    return this.raw(header, ...body);
  }

  raw(...bytes: readonly Uint8Array[]): this {
    this.#parts.push(...bytes.map((part) => Buffer.from(part)));
    return this;
  }

  records(): Buffer {
    return Buffer.concat(this.#parts);
  }

  /** The file, as `perf record -o FILE` writes it. Without `tracingData`, as a perf leaves it that is killed. */
  file(tracingData?: Uint8Array): Buffer {
    const attrSize = 128 + 16;
    const ids = this.#events.map((event) => u64s(...event.ids));
    const attrsAt = 104 + ids.reduce((sum, { length }) => sum + length, 0);
    const dataAt = attrsAt + this.#events.length * attrSize;
    let idsAt = 104;
    const attrs = this.#events.flatMap((event, index) => {
      const size = ids[index]?.length ?? 0;
      const section = u64s(BigInt(idsAt), BigInt(size));
      idsAt += size;
      return [attrOf(event), section];
    });
    const data = this.records();
    const header = u64s(
      104n,
      BigInt(attrSize),
      BigInt(attrsAt),
      BigInt(this.#events.length * attrSize),
      BigInt(dataAt),
      tracingData === undefined ? 0n : BigInt(data.length),
      0n,
      0n,
      1n << 1n,
      0n,
      0n,
      0n,
    );
    const front = [Buffer.from('PERFILE2'), header, ...ids, ...attrs, data];
    if (tracingData === undefined) return Buffer.concat(front);
    const table = u64s(BigInt(dataAt + data.length + 16), BigInt(tracingData.length));
    return Buffer.concat([...front, table, tracingData]);
  }

  /** What `perf record -o -` writes. */
  pipe(tracingData?: Uint8Array): Buffer {
    const front = new PerfBuilder();
    for (const event of this.#events) front.record(64, attrOf(event), u64s(...event.ids));
    if (tracingData !== undefined) {
      const padding = Buffer.alloc((8 - (tracingData.length % 8)) % 8);
      front.record(66, u32s(tracingData.length + padding.length)).raw(tracingData, padding);
    }
    return Buffer.concat([Buffer.from('PERFILE2'), u64s(16n), front.records(), this.records()]);
  }

  #task(type: number, context: Context, parentPid: number, parentTid: number): this {
    const { pid = 0, tid = 0, time = 0n } = context;
    return this.record(type, u32s(pid, parentPid, tid, parentTid), u64s(time), this.#trailer(context));
  }

  /** The end of a record that is no sample (struct sample_id). */
  #trailer(context: Context): Buffer {
    const { sampleType = USUAL, sampleIdAll = true } = this.#eventOf(context.id);
    const { TID, TIME, ID, STREAM_ID, CPU, IDENTIFIER } = SAMPLE;
    if (!sampleIdAll) return Buffer.alloc(0);
    return u64s(...fields(sampleType, [TID, TIME, ID, STREAM_ID, CPU, IDENTIFIER], context));
  }

  #eventOf(id = 0n): Partial<PerfEvent> {
    return this.#events.find(({ ids }) => ids.includes(id)) ?? this.#events[0] ?? {};
  }
}

/** The beginning of what trace-cmd calls a trace.dat of version 6, as perf puts it into a perf.data. */
export function tracingData(headerPage: string, systems: Readonly<Record<string, readonly string[]>>): Buffer {
  const text = (content: string): Buffer => Buffer.concat([u64s(BigInt(content.length)), Buffer.from(content)]);
  const nul = Buffer.alloc(1);
  return Buffer.concat([
    Buffer.from('\x17\x08Dtracing0.6\0\0\x08', 'latin1'),
    u32s(4096),
    Buffer.from('header_page\0'),
    text(headerPage),
    Buffer.from('header_event\0'),
    text(''),
    u32s(0, Object.keys(systems).length),
    ...Object.entries(systems).flatMap(([system, formats]) => [
      Buffer.from(system),
      nul,
      u32s(formats.length),
      ...formats.map(text),
    ]),
    u32s(0, 0),
    u64s(0n),
  ]);
}

/** Packs nothing: a zstd frame without an end, of blocks that hold their content as it is (RFC 8878). */
export class ZstdPieces {
  #isFirst = true;

  /** The next piece of the frame. */
  add(content: Uint8Array): Buffer {
    const header = Buffer.alloc(3);
    header.writeUIntLE(content.length << 3, 0, 3);
    const start = this.#isFirst ? Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x48]) : Buffer.alloc(0);
    this.#isFirst = false;
    return Buffer.concat([start, header, content]);
  }
}

function sampleFields(sampleType: bigint, context: Context): bigint[] {
  const { IDENTIFIER, IP, TID, TIME, ADDR, ID, STREAM_ID, CPU, PERIOD } = SAMPLE;
  return fields(sampleType, [IDENTIFIER, IP, TID, TIME, ADDR, ID, STREAM_ID, CPU, PERIOD], context);
}

function fields(sampleType: bigint, order: readonly bigint[], context: Context): bigint[] {
  const { id = 0n, pid = 0, tid = 0, time = 0n, cpu = 0 } = context;
  const values = new Map([
    [SAMPLE.IDENTIFIER, id],
    [SAMPLE.ID, id],
    [SAMPLE.STREAM_ID, id],
    [SAMPLE.TID, BigInt(pid >>> 0) | (BigInt(tid >>> 0) << 32n)],
    [SAMPLE.TIME, time],
    [SAMPLE.CPU, BigInt(cpu >>> 0)],
  ]);
  return order.filter((bit) => (sampleType & bit) !== 0n).map((bit) => values.get(bit) ?? 0x1111111111111111n);
}

/** struct perf_event_attr, version 7 of it (PERF_ATTR_SIZE_VER7: 128 bytes). */
function attrOf(event: PerfEvent): Buffer {
  const {
    type = 2,
    config,
    sampleType = USUAL,
    readFormat = 0n,
    period = 1n,
    freq = false,
    sampleIdAll = true,
  } = event;
  const flags = (freq ? 1n << 10n : 0n) | (sampleIdAll ? 1n << 18n : 0n);
  const numbers = u64s(BigInt(type) | (128n << 32n), BigInt(config), period, sampleType, readFormat, flags);
  return Buffer.concat([numbers, Buffer.alloc(128 - numbers.length)]);
}

export function u64s(...values: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(value, i * 8);
  return bytes;
}

function u32s(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, i * 4);
  return bytes;
}
