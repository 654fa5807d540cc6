import { join } from 'node:path';
import type { PerfDecoder } from '../../decode/perf-data/perf-decoder.js';
import { recordsOf } from '../../decode/perf-data/perf-file.js';
import type { RecordStream } from '../../decode/perf-data/record-stream.js';
import { PerfReading } from './formats/perf-data.js';
import type { ReplayOptions, ReplaySinks } from './formats/recording-format.js';
import { type ReadEnd, readChunks } from './pages/read-chunks.js';
import { NO_WARNINGS, type RecordingWarnings } from './pages/recording-warnings.js';
import type { PerfDirectory } from './perf-directory.js';
import type { ReplayLimits } from './replay-file.js';

/**
 * Reads a directory of `perf record --threads` to its end, the events of all CPUs merged by time. Returns what the user
 * should know about how it was made. Keeps a chunk of each CPU in memory, however long the recording.
 * @throws AgentError if the recording as a whole cannot be used, or a file cannot be read
 */
export async function replayPerfDirectory(
  { path, main, cpuFiles }: PerfDirectory,
  sinks: ReplaySinks,
  options: ReplayOptions,
  { onRead, isDone }: ReplayLimits = {},
): Promise<RecordingWarnings> {
  const reading = new PerfReading(path, main, sinks, options);
  const { decoder } = reading;
  const all = [
    new PerfInput(join(path, 'data'), decoder, recordsOf(main), onRead),
    ...cpuFiles.map((file) => new PerfInput(file, decoder, (chunk) => chunk, onRead)),
  ];
  try {
    for (let inputs = all; inputs.length > 0; ) {
      const last = inputs.reduce((a, b) => (b.latestNs < a.latestNs ? b : a));
      if (!(await last.readOn())) inputs = inputs.filter((input) => input !== last);
      reading.check();
      // Every file is in order, so no file that is still read has an older event.
      decoder.deliver(Math.min(...inputs.map(({ latestNs }) => latestNs)));
      if (isDone?.() === true) return NO_WARNINGS;
    }
  } finally {
    for (const input of all) await input.close();
  }
  reading.end();
  return reading.warnings();
}

/** One file of the directory. */
class PerfInput {
  readonly #decoder: PerfDecoder;
  readonly #stream: RecordStream;
  readonly #records: (chunk: Uint8Array) => Uint8Array;
  readonly #chunks: AsyncGenerator<Uint8Array, ReadEnd>;

  constructor(
    path: string,
    decoder: PerfDecoder,
    records: (chunk: Uint8Array) => Uint8Array,
    onRead: ((bytes: number) => void) | undefined,
  ) {
    this.#decoder = decoder;
    this.#stream = decoder.openStream();
    this.#records = records;
    this.#chunks = readChunks(path, undefined, onRead);
  }

  /** Time of the latest event that was read. */
  get latestNs(): number {
    return this.#decoder.latestNsOf(this.#stream);
  }

  /** Reads a chunk. False at the end of the file. */
  async readOn(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#stream.push(this.#records(next.value));
    return true;
  }

  async close(): Promise<void> {
    await this.#chunks.return('whole');
  }
}
