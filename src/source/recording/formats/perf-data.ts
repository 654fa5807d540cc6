import { PerfDecoder } from '../../../decode/perf-data/perf-decoder.js';
import {
  describePerfFile,
  describePipe,
  FILE_HEADER_SIZE,
  isPerfData,
  isPipeForm,
  type PerfFile,
  parseFileHeader,
  recordsOf,
} from '../../../decode/perf-data/perf-file.js';
import { AgentError } from '../../../system/errors.js';
import { type Packing, rangeReader } from '../pages/read-chunks.js';
import type { RecordingWarnings } from '../pages/recording-warnings.js';
import { readSavedFormats } from '../pages/saved-formats.js';
import type { BinaryFormat, RecordingReader, ReplayOptions, ReplaySinks } from './recording-format.js';

/** Far more than perf writes behind the records; the formats of the tracepoints are the first part of it. */
const MAX_BACK_SIZE = 1 << 26;

export const PERF_PIPE: BinaryFormat = {
  name: 'a perf.data written to a pipe',
  matches: isPipeForm,
  createReader: (path, sinks, options) => createReader(path, describePipe(), sinks, options),
};

export const PERF_DATA: BinaryFormat = {
  name: 'a perf.data',
  matches: isPerfData,

  async readAhead(path, packing) {
    const file = await readPerfFile(path, packing);
    return { ...PERF_DATA, createReader: (_path, sinks, options) => createReader(path, file, sinks, options) };
  },

  createReader(path) {
    throw new AgentError(
      `${path}: a perf.data that was written to a file ends with what its start needs; save it to a file, or record with -o -`,
    );
  },
};

/** @throws AgentError if the file's header is damaged */
export async function readPerfFile(path: string, packing: Packing): Promise<PerfFile> {
  const readRange = rangeReader(path, packing);
  const header = parseFileHeader(await readRange(0, FILE_HEADER_SIZE));
  if ('problem' in header) throw new AgentError(`${path}: a perf.data, ${header.problem}`);
  const { offset, size } = header.data;
  const front = await readRange(0, offset);
  return describePerfFile(
    header,
    front,
    size === 0 ? new Uint8Array(0) : await readRange(offset + size, MAX_BACK_SIZE),
  );
}

/** The decoding of one perf.data, or of one directory of `perf record --threads`. */
export class PerfReading {
  readonly decoder: PerfDecoder;
  readonly #path: string;
  readonly #file: PerfFile;

  /** @param path for messages */
  constructor(path: string, file: PerfFile, sinks: ReplaySinks, { vocabulary, tracefs }: ReplayOptions) {
    const otherFormats = tracefs === undefined ? undefined : () => readSavedFormats(tracefs);
    const { attrs, tracingData } = file;
    this.#path = path;
    this.#file = file;
    this.decoder = new PerfDecoder({ vocabulary, sink: sinks.kernel(), attrs, tracingData, otherFormats });
  }

  /** @throws AgentError if the file as a whole cannot be used */
  check(): void {
    const { unusable } = this.decoder;
    if (unusable !== undefined) throw new AgentError(`${this.#path}: ${unusable}`);
  }

  /** Call it at the end of all streams. @throws AgentError if the file as a whole cannot be used */
  end(): void {
    this.decoder.end();
    this.check();
    if (this.decoder.sampleCount > 0) return;
    if (this.decoder.isDamaged)
      throw new AgentError(`${this.#path}: its compressed records are damaged; none of them can be read`);
    if (this.#file.isCut)
      throw new AgentError(
        `${this.#path}: is cut, or perf did not end properly, before its first event; record it again`,
      );
  }

  warnings(): RecordingWarnings {
    const { decoder } = this;
    const sampled = decoder.namesOf('isSampled').join(', ');
    const counted = decoder.namesOf('isCountedOnly').join(', ');
    const warnings: readonly (readonly [applies: boolean, warning: string])[] = [
      [sampled !== '', `holds only some of these events, so their figures are too low: ${sampled}; record with -c 1`],
      [counted !== '', `lacks these events, which were counted as members of a group (:S): ${counted}`],
      [decoder.throttles > 0, `lacks events, because the kernel stopped recording ${decoder.throttles} times`],
      [decoder.isDamaged, 'has damaged compressed records; what follows them is missing'],
      [decoder.isOutOfOrder, 'has too many records that are not in order; some durations may be wrong'],
      [this.#file.isCut, 'is cut, or perf did not end properly; its last events are missing'],
    ];
    const lines = warnings.flatMap(([applies, warning]) => (applies ? [`${this.#path}: ${warning}`] : []));
    return { lines, coverCut: decoder.isDamaged || this.#file.isCut };
  }
}

function createReader(path: string, file: PerfFile, sinks: ReplaySinks, options: ReplayOptions): RecordingReader {
  const reading = new PerfReading(path, file, sinks, options);
  const stream = reading.decoder.openStream();
  const records = recordsOf(file);
  return {
    copiesChunks: true,
    push(chunk) {
      stream.push(records(chunk));
      reading.check();
    },
    end(how) {
      if (how === 'cut') reading.decoder.malformed('truncated');
      reading.end();
    },
    warnings: () => reading.warnings(),
  };
}
