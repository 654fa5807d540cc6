export interface PageShape {
  readonly bigEndian?: boolean;
  /** Bytes of the kernel's `long`: 8, or 4 on a 32-bit kernel. */
  readonly longSize?: 4 | 8;
  readonly pageSize?: number;
}

export interface PageEnd {
  /** Events lost before the page. A number is stored behind the data; 'unknown' sets the flag alone. */
  readonly missed?: number | 'unknown';
  /** Replaces the length of the data. */
  readonly commit?: number;
}

const TYPE_PADDING = 29;
const TYPE_TIME_EXTEND = 30;
const TYPE_TIME_STAMP = 31;

/**
 * Builds ring-buffer pages byte by byte, after struct buffer_data_page and struct ring_buffer_event
 * (include/linux/ring_buffer.h, kernel/trace/ring_buffer.c). Shares no code with the decoder. Times are BigInt, so they
 * are exact.
 */
export class PageBuilder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #littleEndian: boolean;
  readonly #longSize: 4 | 8;
  readonly #dataOffset: number;
  #at: number;

  constructor(timestamp: bigint, { bigEndian = false, longSize = 8, pageSize = 4096 }: PageShape = {}) {
    this.#bytes = new Uint8Array(pageSize);
    this.#view = new DataView(this.#bytes.buffer);
    this.#littleEndian = !bigEndian;
    this.#longSize = longSize;
    this.#dataOffset = 8 + longSize;
    this.#at = this.#dataOffset;
    this.#view.setBigUint64(0, timestamp, this.#littleEndian);
  }

  /** Adds an event of up to 112 bytes, whose length in words is in the header. */
  event(delta: number, payload: Uint8Array): this {
    return this.#header(Math.ceil(payload.length / 4), delta).#payload(payload);
  }

  /** Adds an event whose length is in a word of its own, as for payloads of more than 112 bytes. */
  longEvent(delta: number, payload: Uint8Array): this {
    return this.#header(0, delta)
      .word(4 + Math.ceil(payload.length / 4) * 4)
      .#payload(payload);
  }

  /** Adds a discarded event of `size` bytes. */
  discarded(delta: number, size: number): this {
    return this.#header(TYPE_PADDING, delta)
      .word(4 + size)
      .#payload(new Uint8Array(size).fill(0xaa));
  }

  /** Adds padding without a delta, which ends the page. */
  end(): this {
    return this.#header(TYPE_PADDING, 0);
  }

  timeExtend(delta: bigint): this {
    return this.#header(TYPE_TIME_EXTEND, Number(delta & 0x7ffffffn)).word(Number(delta >> 27n));
  }

  /** Adds an absolute time, of which 59 bits are kept as the kernel does. */
  timeStamp(time: bigint): this {
    return this.#header(TYPE_TIME_STAMP, Number(time & 0x7ffffffn)).word(Number((time >> 27n) & 0xffffffffn));
  }

  word(value: number): this {
    this.#view.setUint32(this.#at, value, this.#littleEndian);
    this.#at += 4;
    return this;
  }

  build({ missed, commit = this.#at - this.#dataOffset }: PageEnd = {}): Uint8Array {
    let flags = 0;
    if (missed !== undefined) flags |= 1 << 31;
    if (typeof missed === 'number') {
      flags |= 1 << 30;
      this.#long(this.#at, BigInt(missed));
    }
    // `flags` is negative if bit 31 is set, so the sign goes into the upper half, as in the kernel.
    this.#long(8, BigInt(flags) + BigInt(commit));
    return this.#bytes;
  }

  #header(typeLen: number, delta: number): this {
    return this.word(this.#littleEndian ? delta * 32 + typeLen : typeLen * 2 ** 27 + delta);
  }

  #payload(payload: Uint8Array): this {
    this.#bytes.set(payload, this.#at);
    this.#at += Math.ceil(payload.length / 4) * 4;
    return this;
  }

  #long(at: number, value: bigint): void {
    if (this.#longSize === 8) this.#view.setBigInt64(at, value, this.#littleEndian);
    else this.#view.setInt32(at, Number(BigInt.asIntN(32, value)), this.#littleEndian);
  }
}

export type PayloadField = readonly [offset: number, size: 1 | 2 | 4 | 8, value: number | bigint];

/** The payload of a record: struct trace_entry (type, flags, preempt count, pid) and fields at any offset. */
export function payload(
  id: number,
  pid: number,
  fields: readonly PayloadField[],
  { size, bigEndian = false }: { readonly size?: number; readonly bigEndian?: boolean } = {},
): Uint8Array {
  const end = Math.max(8, ...fields.map(([offset, width]) => offset + width));
  const bytes = new Uint8Array(size ?? Math.ceil(end / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id, !bigEndian);
  view.setInt32(4, pid, !bigEndian);
  for (const [offset, width, value] of fields) {
    for (let i = 0; i < width; i++) {
      const shift = BigInt(8 * (bigEndian ? width - 1 - i : i));
      bytes[offset + i] = Number((BigInt(value) >> shift) & 0xffn);
    }
  }
  return bytes;
}

/** The text of an event's format file, in the form of f_show() in kernel/trace/trace_events.c. */
export function formatText(
  name: string,
  id: number,
  fields: readonly (readonly [declaration: string, offset: number, size: number])[],
  printFmt = '""',
): string {
  const common = [
    ['unsigned short common_type', 0, 2],
    ['unsigned char common_flags', 2, 1],
    ['unsigned char common_preempt_count', 3, 1],
    ['int common_pid', 4, 4],
  ] as const;
  const line = ([declaration, offset, size]: readonly [string, number, number]): string =>
    `\tfield:${declaration};\toffset:${offset};\tsize:${size};\tsigned:${/^(int|char)\b/.test(declaration) ? 1 : 0};\n`;
  const lines = [...common.map(line), '\n', ...fields.map(line)].join('');
  return `name: ${name}\nID: ${id}\nformat:\n${lines}\nprint fmt: ${printFmt}\n`;
}

/** The text of events/header_page. */
export function headerPageText({ longSize = 8, pageSize = 4096 }: PageShape = {}): string {
  const data = 8 + longSize;
  return [
    '\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n',
    `\tfield: local_t commit;\toffset:8;\tsize:${longSize};\tsigned:1;\n`,
    '\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n',
    `\tfield: char data;\toffset:${data};\tsize:${pageSize - data};\tsigned:0;\n`,
  ].join('');
}
