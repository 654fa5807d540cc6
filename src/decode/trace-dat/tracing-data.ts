/**
 * What tools copy from tracefs beside the events, so that the events can be decoded elsewhere. A trace.dat of version 6
 * begins with it; so does the feature TRACING_DATA of a perf.data, as version `0.6`:
 *
 *   17 08 44 t r a c i n g    magic
 *   6 NUL                     version
 *   00 08 00 10 00 00         u8 byte order (1: big), u8 bytes of a long, u32 page size
 *   header_page NUL           u64 length, text of events/header_page
 *   header_event NUL          u64 length, text
 *   12 00 00 00               u32 ftrace's formats, each u64 length, text
 *   01 00 00 00               u32 systems, each name NUL, u32 formats, each u64 length, text
 *   ...                       u32 length, text of /proc/kallsyms; u32 length, text of printk_formats
 *   ...                       u64 length, text of saved_cmdlines
 *
 * In version 7 the same parts are sections of their own; see trace-dat.ts.
 *
 * Source: trace-cmd.dat.v6(5); read_headers_v6, lib/trace-cmd/trace-input.c (trace-cmd 3.4); record_header_files ...
 * tracing_data_put, tools/perf/util/trace-event-info.c (Linux 6.18), where versions before 0.6 have no saved_cmdlines.
 */
import { type EventFormats, type FormatProblem, readEventFormats } from '../format/event-format.js';
import type { ByteSource } from './byte-source.js';
import { FieldReader, TraceDatDamage } from './field-reader.js';

export const MAGIC = '\x17\x08\x44tracing';
/** Far more than all formats of a kernel, which has some 3,000 of about a kilobyte. */
const MAX_FORMAT_BYTES = 1 << 26;
const MAX_FORMAT = 1 << 20;
const MAX_CMDLINES = 1 << 26;
/** The largest sub-buffer: 128 pages of 64 KiB. */
export const MAX_PAGE_SIZE = 1 << 23;
export const MIN_PAGE_SIZE = 64;

export interface FileHeader {
  /** `6`, `7`; `0.6` in a perf.data. */
  readonly version: string;
  readonly bigEndian: boolean;
  /** Bytes of a sub-buffer. */
  readonly pageSize: number;
  /** Position behind the header. */
  readonly end: number;
}

export interface TracingData extends FileHeader {
  readonly formats: EventFormats;
  /** Text of the kernel's saved_cmdlines: thread ids and names; '' if there is none. */
  readonly savedCmdlines: string;
}

/** Reads everything up to and including the names of threads. */
export function readTracingData(source: ByteSource): TracingData | FormatProblem {
  let part = 'header';
  try {
    const header = readFileHeader(source);
    const reader = new FieldReader(source, header.bigEndian, header.end);
    part = 'event formats';
    const headerPage = readHeaderInfo(reader);
    const texts = new FormatTexts();
    texts.readSystem(reader);
    texts.readSystems(reader);
    const read = readEventFormats(headerPage, texts.all, header.bigEndian);
    if ('problem' in read) return read;
    part = 'names of threads';
    reader.skip(reader.u32());
    reader.skip(reader.u32());
    const savedCmdlines = hasCmdlines(header.version) ? readCmdlines(reader) : '';
    return { ...header, formats: read.formats, savedCmdlines, end: reader.at };
  } catch (error) {
    if (!(error instanceof TraceDatDamage)) throw error;
    return { problem: `damaged in its ${part}: ${error.message}` };
  }
}

/** Throws {@link TraceDatDamage}. */
export function readFileHeader(source: ByteSource): FileHeader {
  const reader = new FieldReader(source, false);
  if (reader.text(MAGIC.length) !== MAGIC) throw new TraceDatDamage('no trace.dat');
  const version = reader.string();
  const bigEndian = reader.u8() === 1;
  reader.skip(1);
  const pageSize = new FieldReader(source, bigEndian, reader.at).u32();
  if (pageSize < MIN_PAGE_SIZE || pageSize > MAX_PAGE_SIZE) throw new TraceDatDamage(`a page size of ${pageSize}`);
  return { version, bigEndian, pageSize, end: reader.at + 4 };
}

/** The text of header_page. The format of a record's first word, behind it, has never changed. */
export function readHeaderInfo(reader: FieldReader): string {
  expect(reader, 'header_page');
  const headerPage = reader.text(limited(reader.u64(), MAX_FORMAT));
  expect(reader, 'header_event');
  reader.skip(limited(reader.u64(), MAX_FORMAT));
  return headerPage;
}

/** The texts of format files. */
export class FormatTexts {
  readonly all: string[] = [];
  /** Bytes read so far, the lengths of texts included. */
  #bytes = 0;

  readSystem(reader: FieldReader): void {
    for (let count = reader.u32(); count > 0; count--) {
      const start = reader.at;
      this.all.push(reader.text(limited(reader.u64(), MAX_FORMAT)));
      this.#add(reader.at - start);
    }
  }

  readSystems(reader: FieldReader): void {
    for (let count = reader.u32(); count > 0; count--) {
      const start = reader.at;
      reader.string();
      this.#add(reader.at - start);
      this.readSystem(reader);
    }
  }

  #add(bytes: number): void {
    this.#bytes += bytes;
    limited(this.#bytes, MAX_FORMAT_BYTES);
  }
}

export function readCmdlines(reader: FieldReader): string {
  return reader.text(limited(reader.u64(), MAX_CMDLINES));
}

function expect(reader: FieldReader, name: string): void {
  if (reader.string() !== name) throw new TraceDatDamage(`no ${name} where it should be`);
}

function limited(length: number, limit: number): number {
  if (!(length <= limit)) throw new TraceDatDamage(`a length of ${length}`);
  return length;
}

function hasCmdlines(version: string): boolean {
  return !/^0\.[0-5]$/.test(version);
}
