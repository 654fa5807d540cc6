/**
 * Builds trace.dat files byte by byte, after trace-cmd.dat.v6(5), trace-cmd.dat.v7(5) and, for the clock in version 6,
 * lib/trace-cmd/trace-output.c (trace-cmd 3.4). Shares no code with the reader.
 */
import { deflateSync } from 'node:zlib';

export interface TraceDatParts {
  readonly bigEndian?: boolean;
  readonly pageSize?: number;
  readonly headerPage: string;
  readonly ftrace: readonly string[];
  readonly systems: Readonly<Record<string, readonly string[]>>;
  readonly cmdlines?: string;
  readonly buffers: readonly TraceDatPages[];
  /** Further options: id and data. */
  readonly options?: readonly (readonly [id: number, data: Buffer])[];
}

/** The pages of one buffer, by CPU. */
export interface TraceDatPages {
  readonly name?: string;
  readonly clock?: string;
  readonly cpus: readonly (readonly Uint8Array[])[];
}

const [CPUSTAT, BUFFER, TRACECLOCK, CPUCOUNT, TSC2NSEC] = [2, 3, 4, 8, 14];
const [HEADER_INFO, FTRACE_EVENTS, EVENT_FORMATS, CMDLINES] = [16, 17, 18, 21];
/** Pages in a packed chunk. */
const CHUNK_PAGES = 10;

class Writer {
  readonly #bigEndian: boolean;
  #bytes = Buffer.alloc(0);

  constructor(bigEndian: boolean) {
    this.#bigEndian = bigEndian;
  }

  get length(): number {
    return this.#bytes.length;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  number(size: number, value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    const own = bytes.subarray(0, size);
    return this.raw(this.#bigEndian ? own.reverse() : own);
  }

  string(text: string): this {
    return this.raw(Buffer.from(`${text}\0`));
  }

  /** A text behind its length. */
  sized(size: number, text: string): this {
    const bytes = Buffer.from(text);
    return this.number(size, bytes.length).raw(bytes);
  }

  raw(bytes: Uint8Array): this {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    return this;
  }

  align(size: number): this {
    return this.raw(Buffer.alloc((size - (this.length % size)) % size));
  }

  setU64(at: number, value: number): void {
    this.#bytes.set(new Writer(this.#bigEndian).number(8, value).bytes, at);
  }
}

/** The data of an option TSC2NSEC. */
export function tsc2nsec(multiplier: number, shift: number): [id: number, data: Buffer] {
  return [TSC2NSEC, new Writer(false).number(4, multiplier).number(4, shift).number(8, 0).bytes];
}

/** The data of an option CPUSTAT. */
export function cpuStat(cpu: number, overrun: number): [id: number, data: Buffer] {
  return [CPUSTAT, Buffer.from(`CPU: ${cpu}\nentries: 0\noverrun: ${overrun}\ndropped events: 0\nread events: 5\n\0`)];
}

function headerInfo(writer: Writer, { headerPage }: TraceDatParts): Writer {
  return writer
    .string('header_page')
    .sized(8, headerPage)
    .string('header_event')
    .sized(8, '# compressed entry header\n');
}

function formats(writer: Writer, texts: readonly string[]): Writer {
  writer.number(4, texts.length);
  for (const text of texts) writer.sized(8, text);
  return writer;
}

function systems(writer: Writer, parts: TraceDatParts): Writer {
  const all = Object.entries(parts.systems);
  writer.number(4, all.length);
  for (const [name, texts] of all) formats(writer.string(name), texts);
  return writer;
}

function fileHeader(version: number, { bigEndian = false, pageSize = 4096 }: TraceDatParts): Writer {
  const writer = new Writer(bigEndian).raw(Buffer.from('\x17\x08\x44tracing', 'latin1')).string(String(version));
  return writer
    .number(1, bigEndian ? 1 : 0)
    .number(1, 8)
    .number(4, pageSize);
}

/** What a perf.data holds as TRACING_DATA is the beginning of this, up to the names of threads, as version 0.6. */
export function buildVersion6(parts: TraceDatParts): Buffer {
  const { bigEndian = false, pageSize = 4096, buffers, cmdlines = '', options = [] } = parts;
  const writer = headerInfo(fileHeader(6, parts), parts);
  systems(formats(writer, parts.ftrace), parts);
  writer.sized(4, '0000000000000000 T _text\n').sized(4, '').sized(8, cmdlines);
  const cpuCount = buffers[0]?.cpus.length ?? 0;
  writer.number(4, cpuCount).string('options  ');
  const option = (id: number, data: Buffer) => writer.number(2, id).number(4, data.length).raw(data);
  option(TRACECLOCK, Buffer.from(`[${buffers[0]?.clock ?? 'local'}] global counter\n\0`));
  option(CPUCOUNT, new Writer(bigEndian).number(4, cpuCount).bytes);
  for (const [id, data] of options) option(id, data);
  const places = buffers.slice(1).map(({ name = '' }) => {
    option(BUFFER, new Writer(bigEndian).number(8, 0).string(name).bytes);
    return writer.length - 8 - name.length - 1;
  });
  writer.number(2, 0);
  for (const [index, { clock = 'local', cpus }] of buffers.entries()) {
    const place = places[index - 1];
    if (place !== undefined) writer.setU64(place, writer.length);
    writer.string('flyrecord');
    const table = writer.length;
    for (let i = 0; i < 2 * cpuCount; i++) writer.number(8, 0);
    writer.sized(8, `[${clock}]`);
    for (const [cpu, pages] of cpus.entries()) {
      writer.align(pageSize);
      writer.setU64(table + 16 * cpu, writer.length);
      writer.setU64(table + 16 * cpu + 8, pages.length * pageSize);
      for (const page of pages) writer.raw(page);
    }
  }
  return writer.bytes;
}

export function buildVersion7(parts: TraceDatParts, compression: 'none' | 'zlib' = 'none'): Buffer {
  const { bigEndian = false, pageSize = 4096, buffers, cmdlines = '', options = [] } = parts;
  const isPacked = compression === 'zlib';
  const writer = fileHeader(7, parts)
    .string(compression)
    .string(isPacked ? '1.2.13' : '');
  const firstOptions = writer.length;
  writer.number(8, 0);
  const own = () => new Writer(bigEndian);
  const section = (id: number, content: Buffer, packed: boolean): number => {
    const offset = writer.length;
    const packedContent = deflateSync(content);
    const data = packed
      ? own().number(4, packedContent.length).number(4, content.length).raw(packedContent).bytes
      : content;
    writer
      .number(2, id)
      .number(2, packed ? 1 : 0)
      .number(4, 0)
      .number(8, data.length)
      .raw(data);
    return offset;
  };
  const places: [id: number, offset: number][] = [
    [HEADER_INFO, section(HEADER_INFO, headerInfo(own(), parts).bytes, isPacked)],
    [FTRACE_EVENTS, section(FTRACE_EVENTS, formats(own(), parts.ftrace).bytes, isPacked)],
    [EVENT_FORMATS, section(EVENT_FORMATS, systems(own(), parts).bytes, isPacked)],
    [CMDLINES, section(CMDLINES, own().sized(8, cmdlines).bytes, isPacked)],
  ];
  let nextOptions = firstOptions;
  const writeOptions = (all: readonly (readonly [id: number, data: Buffer])[]): void => {
    const content = own();
    for (const [id, data] of [...all, [0, own().number(8, 0).bytes] as const])
      content.number(2, id).number(4, data.length).raw(data);
    writer.setU64(nextOptions, section(0, content.bytes, false));
    nextOptions = writer.length - 8;
  };
  writeOptions([
    ...places.map(([id, offset]) => [id, own().number(8, offset).bytes] as const),
    [TRACECLOCK, Buffer.from(`[${buffers[0]?.clock ?? 'local'}] global counter\n\0`)],
    ...options,
  ]);
  for (const { name = '', clock = 'local', cpus } of buffers) {
    const offset = writer.length;
    writer
      .number(2, BUFFER)
      .number(2, isPacked ? 1 : 0)
      .number(4, 0)
      .number(8, 0);
    const option = own().number(8, offset).string(name).string(clock).number(4, pageSize);
    const used = cpus.filter((pages) => pages.length > 0).length;
    option.number(4, used);
    for (const [cpu, pages] of cpus.entries()) {
      if (pages.length === 0) continue;
      writer.align(pageSize);
      const data = isPacked ? packedPages(own(), pages) : Buffer.concat(pages);
      option.number(4, cpu).number(8, writer.length).number(8, data.length);
      writer.raw(data);
    }
    writer.setU64(offset + 8, writer.length - offset - 16);
    writeOptions([[BUFFER, option.bytes]]);
  }
  return writer.bytes;
}

function packedPages(writer: Writer, pages: readonly Uint8Array[]): Buffer {
  writer.number(4, Math.ceil(pages.length / CHUNK_PAGES));
  for (let first = 0; first < pages.length; first += CHUNK_PAGES) {
    const content = Buffer.concat(pages.slice(first, first + CHUNK_PAGES));
    const packed = deflateSync(content);
    writer.number(4, packed.length).number(4, content.length).raw(packed);
  }
  return writer.bytes;
}
