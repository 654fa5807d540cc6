/**
 * trace.dat of version 6. Behind the tracing data (tracing-data.ts):
 *
 *   02 00 00 00               u32 CPUs
 *   options SPACE SPACE NUL   options, see options.ts; the last one is u16 0
 *   flyrecord NUL             for each CPU: u64 offset, u64 size of its pages
 *   07 00 00 00 00 00 00 00   u64 length, `[local]`; only if there is an option TRACECLOCK
 *
 * An option BUFFER says where another `flyrecord` is, for another instance, with the same number of CPUs. `latency`
 * instead of `flyrecord` is text.
 *
 * Source: trace-cmd.dat.v6(5), which lacks the clock; init_data_v6 (trace-cmd 3.4).
 */
import type { FormatProblem } from '../format/event-format.js';
import type { ByteSource } from './byte-source.js';
import { FieldReader, TraceDatDamage } from './field-reader.js';
import { type CpuPlace, currentClock, DONE, LATENCY, MAX_CPUS, Options, readOption } from './options.js';
import { PagePlaces } from './pages.js';
import type { TraceDat, TraceDatBuffer } from './trace-dat.js';
import { readTracingData, type TracingData } from './tracing-data.js';

const TAG_LENGTH = 10;
const MAX_CLOCK = 4096;

/** Throws {@link TraceDatDamage}. */
export function readVersion6(source: ByteSource): TraceDat | FormatProblem {
  const data = readTracingData(source);
  if ('problem' in data) return { problem: `a trace.dat that is ${data.problem}` };
  const { formats, bigEndian, savedCmdlines } = data;
  const reader = new FieldReader(source, bigEndian, data.end);
  const cpuCount = reader.u32();
  const options = new Options();
  let tag = readTag(reader);
  if (tag === 'options') {
    readOptions(reader, options, bigEndian);
    tag = readTag(reader);
  }
  if (tag === 'latency') return { problem: LATENCY };
  if (tag !== 'flyrecord') throw new TraceDatDamage('no table of pages');
  const table = new PageTable(source, data, options, options.cpuCount ?? cpuCount);
  table.read('', reader);
  for (const { name, offset } of options.buffers) table.readInstance(name, offset);
  return {
    compression: 'none',
    bigEndian,
    formats,
    savedCmdlines,
    buffers: table.buffers,
    nsPerTick: options.nsPerTick,
    writer: options.writer,
    notes: options.notes,
    overruns: options.overruns,
    warnings: table.warnings(),
  };
}

function readTag(reader: FieldReader): string {
  return reader.text(TAG_LENGTH).replaceAll('\0', ' ').trimEnd();
}

function readOptions(reader: FieldReader, options: Options, bigEndian: boolean): void {
  for (;;) {
    const { id, data } = readOption(reader, false);
    if (id === DONE) return;
    options.add(id, data, bigEndian, false);
  }
}

/** Reads the tables of pages: one for each buffer. */
class PageTable {
  readonly buffers: TraceDatBuffer[] = [];
  readonly #source: ByteSource;
  readonly #data: TracingData;
  readonly #options: Options;
  readonly #cpuCount: number;
  readonly #places: PagePlaces;
  readonly #missing: string[] = [];

  constructor(source: ByteSource, data: TracingData, options: Options, cpuCount: number) {
    if (cpuCount > MAX_CPUS) throw new TraceDatDamage(`${cpuCount} CPUs`);
    this.#source = source;
    this.#data = data;
    this.#options = options;
    this.#cpuCount = cpuCount;
    this.#places = new PagePlaces(source);
  }

  readInstance(name: string, offset: number): void {
    const reader = new FieldReader(this.#source, this.#data.bigEndian, offset);
    // A cut file lacks the last instances.
    if (reader.left < TAG_LENGTH || readTag(reader) !== 'flyrecord') this.#missing.push(name);
    else this.read(name, reader);
  }

  read(name: string, reader: FieldReader): void {
    const cpus: CpuPlace[] = [];
    for (let cpu = 0; cpu < this.#cpuCount; cpu++) cpus.push({ cpu, offset: reader.u64(), size: reader.u64() });
    this.buffers.push({
      name,
      clock: this.#readClock(reader),
      pageSize: this.#data.pageSize,
      isPacked: false,
      cpus: this.#places.check(cpus),
    });
  }

  warnings(): string[] {
    return [...this.#places.warnings(), ...this.#missing.map((name) => `the pages of buffer "${name}" are missing`)];
  }

  #readClock(reader: FieldReader): string {
    const length = !this.#options.hasClock ? 0 : reader.u64();
    return length <= Math.min(MAX_CLOCK, reader.left) ? currentClock(reader.text(length)) : '';
  }
}
