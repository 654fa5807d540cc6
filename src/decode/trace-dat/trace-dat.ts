/**
 * trace.dat, the file of `trace-cmd record`: what is in it, and where. The pages themselves are read later.
 *
 * Version 6 (before trace-cmd 3.0) is one sequence of parts, see tracing-data.ts and version-6.ts. Version 7 consists
 * of sections, most of them packed, see version-7.ts. In both, the pages of a CPU lie together.
 */
import type { EventFormats, FormatProblem } from '../format/event-format.js';
import type { ByteSource } from './byte-source.js';
import { TraceDatDamage } from './field-reader.js';
import type { CpuPlace } from './options.js';
import { readFileHeader } from './tracing-data.js';
import { readVersion6 } from './version-6.js';
import { readVersion7 } from './version-7.js';

/** The ring buffer of one tracing instance. */
export interface TraceDatBuffer {
  /** '' for the top-level buffer. */
  readonly name: string;
  /** `local`, `mono` ...; '' if the file does not say. */
  readonly clock: string;
  /** Bytes of a sub-buffer. */
  readonly pageSize: number;
  /** True if the pages are packed, in chunks: u32 chunks, then each u32 packed and u32 unpacked size, data. */
  readonly isPacked: boolean;
  /** The CPUs that have pages. Their places end in the file, and do not overlap. */
  readonly cpus: readonly CpuPlace[];
}

export interface TraceDat {
  /** How sections and pages are packed: `zstd`, `zlib`; `none` in version 6. */
  readonly compression: string;
  readonly bigEndian: boolean;
  /** Undefined if they are damaged. */
  readonly formats: EventFormats | undefined;
  /** Text of saved_cmdlines: thread ids and names. */
  readonly savedCmdlines: string;
  readonly buffers: readonly TraceDatBuffer[];
  /** Nanoseconds of one tick of the clock `x86-tsc`; NaN if the file does not say. */
  readonly nsPerTick: number;
  /** The program that wrote the file, and its version. */
  readonly writer: string;
  /** What `record` noted about VMs, one line of JSON each; '' in files of trace-cmd. */
  readonly notes: string;
  /** Events lost by CPU, all buffers together, by the kernel's statistics. */
  readonly overruns: ReadonlyMap<number, number>;
  /** Damaged and missing parts of a file whose rest can be read, in words for the user. */
  readonly warnings: readonly string[];
}

/** The content of `packed`, at most `maxSize` bytes; undefined if it is damaged. */
export type Unpack = (packed: Uint8Array, maxSize: number) => Uint8Array | undefined;

/** @param unpackers by name of the compression */
export function readTraceDat(source: ByteSource, unpackers: ReadonlyMap<string, Unpack>): TraceDat | FormatProblem {
  try {
    const header = readFileHeader(source);
    if (header.version === '6') return readVersion6(source);
    if (header.version === '7') return readVersion7(source, header, unpackers);
    return { problem: `a trace.dat of version ${header.version.slice(0, 20)}; versions 6 and 7 can be read` };
  } catch (error) {
    if (!(error instanceof TraceDatDamage)) throw error;
    return { problem: `a damaged trace.dat: ${error.message}` };
  }
}
