/**
 * trace.dat of version 7. Behind the file's header (tracing-data.ts):
 *
 *   z s t d NUL 1.5.4 NUL     how sections are packed: name and version; `none`
 *   75 34 00 00 00 00 00 00   u64 place of the first section of options
 *
 * The rest are sections: u16 id, u16 flags (1: packed), u32 name, u64 size. A packed one begins with u32 packed and u32
 * unpacked size. A section of options ends with u64 place of the next one, 0 after the last. The options say where all
 * other sections are; the option of a buffer also says where the pages of each CPU are.
 *
 * trace-cmd writes the options about the pages last. If they are missing, because the file was cut, the pages are found
 * in their section; see find-pages.ts.
 *
 * Source: trace-cmd.dat.v7(5); read_headers, handle_section, init_buffer_cpu_data (trace-cmd 3.4).
 */
import { type EventFormats, type FormatProblem, readEventFormats } from '../format/event-format.js';
import { type ByteSource, bytesInMemory } from './byte-source.js';
import { FieldReader, TraceDatDamage } from './field-reader.js';
import { findPages } from './find-pages.js';
import {
  BUFFER,
  CMDLINES,
  DONE,
  EVENT_FORMATS,
  FTRACE_FORMATS,
  HEADER_INFO,
  LATENCY,
  Options,
  readOption,
  SECTIONS,
} from './options.js';
import { PagePlaces } from './pages.js';
import { SECTION_HEADER, type Section, Sections } from './sections.js';
import type { TraceDat, TraceDatBuffer, Unpack } from './trace-dat.js';
import {
  type FileHeader,
  FormatTexts,
  MAX_PAGE_SIZE,
  MIN_PAGE_SIZE,
  readCmdlines,
  readHeaderInfo,
} from './tracing-data.js';

const NO_COMPRESSION = 'none';
const MAX_SECTIONS = 4096;
/** trace-cmd 3.4 knows sections up to 24. */
const MAX_SECTION_ID = 64;

/** Throws {@link TraceDatDamage}. */
export function readVersion7(
  source: ByteSource,
  header: FileHeader,
  unpackers: ReadonlyMap<string, Unpack>,
): TraceDat | FormatProblem {
  const { bigEndian } = header;
  const reader = new FieldReader(source, bigEndian, header.end);
  const compression = reader.string();
  reader.string();
  const firstOptions = reader.u64();
  const unpack = compression === NO_COMPRESSION ? () => undefined : unpackers.get(compression);
  if (unpack === undefined) return { problem: unknownCompression(compression, [...unpackers.keys()]) };
  const file = new Version7(source, bigEndian, new Sections(source, bigEndian, unpack));
  if (!file.readOptions(firstOptions)) file.findSections(reader.at, header.pageSize);
  if (file.options.hasLatencyTrace && file.buffers.length === 0) return { problem: LATENCY };
  const formats = file.readFormats();
  return {
    compression,
    bigEndian,
    formats,
    savedCmdlines: file.readCmdlines(),
    buffers: file.buffers,
    nsPerTick: file.options.nsPerTick,
    writer: file.options.writer,
    notes: file.options.notes,
    overruns: file.options.overruns,
    warnings: [...file.warnings, ...file.placeWarnings()],
  };
}

function unknownCompression(name: string, known: readonly string[]): string {
  return `a trace.dat that is packed with ${name.slice(0, 20)}; ${known.join(' and ')} can be read: trace-cmd convert -i FILE -o NEW --compression none`;
}

class Version7 {
  readonly options = new Options();
  readonly warnings: string[] = [];
  readonly buffers: TraceDatBuffer[] = [];
  readonly #source: ByteSource;
  readonly #bigEndian: boolean;
  readonly #sections: Sections;
  readonly #places: PagePlaces;

  constructor(source: ByteSource, bigEndian: boolean, sections: Sections) {
    this.#source = source;
    this.#bigEndian = bigEndian;
    this.#sections = sections;
    this.#places = new PagePlaces(source);
  }

  /** Reads all options, and the places of pages in them. False if the file ends before the options do. */
  readOptions(first: number): boolean {
    const isWhole = this.#followOptions(first);
    for (const { name, clock, offset, pageSize, cpus } of this.options.buffers) {
      if (cpus.length === 0) continue;
      const { isPacked } = this.#sections.header(offset);
      this.#addBuffer({ name, clock, pageSize, isPacked, cpus });
    }
    return isWhole;
  }

  /** Finds what options should have said that are missing. */
  findSections(first: number, pageSize: number): void {
    const known = new Set(this.options.buffers.map(({ offset }) => offset));
    for (const [offset, section] of this.#walk(first)) {
      const { id } = section;
      if (SECTIONS.includes(id) && !this.options.sections.has(id)) this.options.sections.set(id, offset);
      if (id !== BUFFER || known.has(offset)) continue;
      const cpus = findPages(this.#source, this.#sections, section, pageSize);
      this.#addBuffer({ name: '', clock: this.options.clock, pageSize, isPacked: section.isPacked, cpus });
    }
    this.warnings.push('its end is missing; what is there is counted');
  }

  readFormats(): EventFormats | undefined {
    try {
      const headerPage = readHeaderInfo(this.#content(HEADER_INFO));
      const texts = new FormatTexts();
      texts.readSystem(this.#content(FTRACE_FORMATS));
      texts.readSystems(this.#content(EVENT_FORMATS));
      const read = readEventFormats(headerPage, texts.all, this.#bigEndian);
      if (!('problem' in read)) return read.formats;
      this.warnings.push(`damaged in its event formats: ${read.problem}`);
    } catch (error) {
      this.#warn('event formats', error);
    }
    return undefined;
  }

  readCmdlines(): string {
    try {
      return this.options.sections.has(CMDLINES) ? readCmdlines(this.#content(CMDLINES)) : '';
    } catch (error) {
      this.#warn('names of threads', error);
      return '';
    }
  }

  placeWarnings(): string[] {
    return this.#places.warnings();
  }

  #addBuffer(buffer: TraceDatBuffer): void {
    if (!(buffer.pageSize >= MIN_PAGE_SIZE && buffer.pageSize <= MAX_PAGE_SIZE))
      throw new TraceDatDamage(`a page size of ${buffer.pageSize}`);
    const cpus = this.#places.check(buffer.cpus);
    if (cpus.length > 0) this.buffers.push({ ...buffer, cpus });
  }

  #followOptions(first: number): boolean {
    const seen = new Set<number>();
    try {
      for (let next = first; next !== 0; ) {
        if (seen.has(next) || seen.size === MAX_SECTIONS) throw new TraceDatDamage('options without end');
        seen.add(next);
        next = this.#readOptions(next);
      }
      return true;
    } catch (error) {
      if (!(error instanceof TraceDatDamage)) throw error;
      return false;
    }
  }

  /** Returns the place of the next options, 0 after the last. */
  #readOptions(offset: number): number {
    const section = this.#sections.header(offset);
    if (section.id !== DONE) throw new TraceDatDamage('no options where they should be');
    const reader = this.#sections.content(section);
    for (;;) {
      const { id, data } = readOption(reader, true);
      if (id === DONE) return new FieldReader(bytesInMemory(data), this.#bigEndian).u64();
      this.options.add(id, data, this.#bigEndian, true);
    }
  }

  /** All sections with their places, as far as there are any. */
  *#walk(first: number): Iterable<[offset: number, section: Section]> {
    let offset = first;
    for (let count = 0; count < MAX_SECTIONS && offset + SECTION_HEADER <= this.#source.size; count++) {
      const section = this.#sections.header(offset);
      if (section.id > MAX_SECTION_ID) return;
      yield [offset, section];
      // The size is written last. Without it, the section was being written.
      if (section.size === 0) return;
      offset = section.start + section.size;
    }
  }

  #content(id: number): FieldReader {
    const offset = this.options.sections.get(id);
    if (offset === undefined) throw new TraceDatDamage('they are missing');
    const section = this.#sections.header(offset);
    if (section.id !== id) throw new TraceDatDamage('they are not where they should be');
    return this.#sections.content(section);
  }

  #warn(part: string, error: unknown): void {
    if (!(error instanceof TraceDatDamage)) throw error;
    this.warnings.push(`damaged in its ${part}: ${error.message}`);
  }
}
