/**
 * The options of a trace.dat: u16 id, u32 length, data; the same in both versions. Used are
 *
 *   2   CPUSTAT      text of per_cpu/cpuN/stats, one for each CPU and buffer; and {@link NOTES} of `record`
 *   3   BUFFER       where the pages of a buffer are
 *   4   TRACECLOCK   text of trace_clock: `[local] global counter ...`
 *   8   CPUCOUNT     u32 CPUs in the table of pages (version 6)
 *   9   VERSION      text: the version of trace-cmd, or `kvm-exit-exporter 0.1.0`
 *   14  TSC2NSEC     u32 multiplier, u32 shift, u64 offset: nanoseconds of the clock `x86-tsc`
 *   16 to 18, 21     u64 where a section is (version 7)
 *   22  BUFFER_TEXT  a latency trace, which is text
 *
 * Source: trace-cmd.dat.v7(5); handle_options, lib/trace-cmd/trace-input.c (trace-cmd 3.4).
 */
import { parseStats } from '../ftrace/buffer-stats.js';
import { bytesInMemory } from './byte-source.js';
import { FieldReader, TraceDatDamage } from './field-reader.js';

export const DONE = 0;
const CPUSTAT = 2;
export const BUFFER = 3;
const TRACECLOCK = 4;
const CPUCOUNT = 8;
const VERSION = 9;
const TSC2NSEC = 14;
const BUFFER_TEXT = 22;

/** Ids of sections that options point to. */
export const HEADER_INFO = 16;
export const FTRACE_FORMATS = 17;
export const EVENT_FORMATS = 18;
export const CMDLINES = 21;
export const SECTIONS: readonly number[] = [HEADER_INFO, FTRACE_FORMATS, EVENT_FORMATS, CMDLINES];

/** The problem of a file with the option BUFFER_TEXT, or with the word `latency` in its place in version 6. */
export const LATENCY =
  'a trace.dat of a latency tracer, which holds text; give the text that `trace-cmd report` prints';

/**
 * The option CPUSTAT with `record`'s notes about VMs begins so. Every trace-cmd takes the option for a text, which it
 * prints with --stat.
 */
export const NOTES = 'Notes of kvm-exit-exporter\n';

const MAX_OPTION = 1 << 24;
/** The most CPUs that a kernel can be built for is 8192 (x86 with MAXSMP). */
export const MAX_CPUS = 8192;
const MAX_CPU = 0xffff;
const MAX_BUFFERS = 1024;
const MAX_WRITER = 100;
/** CPUs of all buffers together. */
export const MAX_PLACES = 1 << 16;

/** The pages of one CPU in the file. */
export interface CpuPlace {
  readonly cpu: number;
  readonly offset: number;
  /** Bytes in the file. */
  readonly size: number;
  /** True if the file ends before the pages do. */
  readonly isCut?: boolean;
}

export interface BufferOption {
  /** Name of the instance; '' for the top-level buffer. */
  readonly name: string;
  /** Place of the section with the pages (version 7), or of the table of CPUs (version 6). */
  readonly offset: number;
  /** The rest is in version 7 only. */
  readonly clock: string;
  readonly pageSize: number;
  readonly cpus: readonly CpuPlace[];
}

export class Options {
  readonly buffers: BufferOption[] = [];
  /** Events lost by CPU, all buffers together, by the kernel's statistics. */
  readonly overruns = new Map<number, number>();
  /** Id of a section -> its place. */
  readonly sections = new Map<number, number>();
  /** The current clock; '' if no option says. */
  clock = '';
  cpuCount: number | undefined;
  /** The program that wrote the file, and its version. */
  writer = '';
  /** What `record` noted about the VMs and their statistics. */
  notes = '';
  /** Nanoseconds of one tick of the clock `x86-tsc`; NaN if no option says. */
  nsPerTick = Number.NaN;
  hasLatencyTrace = false;
  /** True if the clock's name follows each table of pages in version 6. */
  hasClock = false;
  #placeCount = 0;

  /** @param hasPlaces true if a buffer's option says where the pages of its CPUs are: version 7 */
  add(id: number, data: Uint8Array, bigEndian: boolean, hasPlaces: boolean): void {
    const reader = new FieldReader(bytesInMemory(data), bigEndian);
    if (id === CPUSTAT) this.#addStats(reader.text(data.length));
    else if (id === BUFFER) this.#addBuffer(reader, hasPlaces);
    else if (id === TRACECLOCK) this.#setClock(reader.text(data.length));
    else if (id === VERSION) this.writer = reader.text(Math.min(data.length, MAX_WRITER));
    else if (id === CPUCOUNT) this.cpuCount = reader.u32();
    else if (id === TSC2NSEC) this.nsPerTick = tickOf(reader.u32(), reader.u32());
    else if (id === BUFFER_TEXT) this.hasLatencyTrace = true;
    else if (SECTIONS.includes(id)) this.sections.set(id, reader.u64());
  }

  #setClock(text: string): void {
    this.hasClock = true;
    this.clock = currentClock(text);
  }

  #addStats(text: string): void {
    if (text.startsWith(NOTES)) this.notes = text.slice(NOTES.length);
    const cpu = Number(/^CPU: (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
    if (cpu <= MAX_CPU) this.overruns.set(cpu, (this.overruns.get(cpu) ?? 0) + parseStats(text).lost);
  }

  #addBuffer(reader: FieldReader, hasPlaces: boolean): void {
    const offset = reader.u64();
    const name = reader.string();
    const clock = hasPlaces ? reader.string() : '';
    const pageSize = hasPlaces ? reader.u32() : 0;
    const cpus = hasPlaces ? readPlaces(reader) : [];
    this.#placeCount += cpus.length;
    if (this.#placeCount > MAX_PLACES) throw new TraceDatDamage('too many CPUs');
    if (this.buffers.length === MAX_BUFFERS) throw new TraceDatDamage(`more than ${MAX_BUFFERS} buffers`);
    this.buffers.push({ name, offset, clock, pageSize, cpus });
  }
}

/** Reads the id and the data of an option. `isLast`: true if {@link DONE} has no data, as in version 6. */
export function readOption(reader: FieldReader, doneHasData: boolean): { id: number; data: Uint8Array } {
  const id = reader.u16();
  if (id === DONE && !doneHasData) return { id, data: new Uint8Array(0) };
  const length = reader.u32();
  if (length > MAX_OPTION) throw new TraceDatDamage(`an option of ${length} bytes`);
  return { id, data: reader.bytes(length) };
}

/** `[local] global counter` -> `local` */
export function currentClock(text: string): string {
  return /\[([\w-]+)\]/.exec(text)?.[1] ?? '';
}

function readPlaces(reader: FieldReader): CpuPlace[] {
  const count = reader.u32();
  if (count > MAX_CPUS) throw new TraceDatDamage(`${count} CPUs`);
  return Array.from({ length: count }, () => {
    const cpu = reader.u32();
    if (cpu > MAX_CPU) throw new TraceDatDamage(`a CPU ${cpu}`);
    return { cpu, offset: reader.u64(), size: reader.u64() };
  });
}

function tickOf(multiplier: number, shift: number): number {
  return multiplier > 0 && shift < 64 ? multiplier / 2 ** shift : Number.NaN;
}
