import { join } from 'node:path';
import { FtraceTextDecoder } from '../../decode/ftrace/text-decoder.js';
import { tryListFolder } from '../../system/files.js';
import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import { CpuStats, cpuOf, readLost } from './cpu-stats.js';
import { ReadWitness } from './read-witness.js';
import { BufferFile, type Drained, type OnForeignRead, type TraceReader } from './trace-reader.js';

const CHUNK_BYTES = 1 << 18;
/** A line of text is about this many times as long as the record that it shows. */
const TEXT_EXPANSION = 4;

/** Reads `trace_pipe`: the kernel merges the CPUs' buffers by time and formats each event as a line. */
export class TextReader implements TraceReader {
  readonly #file: BufferFile;
  readonly #decoder: FtraceTextDecoder;
  readonly #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  readonly #stats: readonly (readonly [cpu: number, stats: CpuStats])[];
  readonly #witness: ReadWitness;
  readonly #onForeignRead: OnForeignRead | undefined;
  /** Events read until the witness compared. */
  #compared = 0;

  /**
   * @param path the instance, or tracefs itself
   * @param onForeignRead undefined if other programs may read the buffers
   */
  constructor(path: string, vocabulary: Vocabulary, sink: TraceSink, onForeignRead?: OnForeignRead) {
    this.#file = new BufferFile(join(path, 'trace_pipe'));
    this.#decoder = new FtraceTextDecoder(vocabulary, sink);
    const folder = join(path, 'per_cpu');
    // The lines are of all CPUs, and so is the comparison. There is a folder for each CPU that can be plugged in.
    const names = onForeignRead ? tryListFolder(folder) : [];
    this.#stats = names.map((name) => [cpuOf(name), new CpuStats(join(folder, name))]);
    this.#witness = new ReadWitness(this.#stats.map(([, stats]) => stats));
    this.#onForeignRead = onForeignRead;
  }

  findForeignReads(): void {
    const foreign = this.#witness.compare(this.#decoder.events - this.#compared);
    this.#compared = this.#decoder.events;
    if (foreign !== 0) this.#onForeignRead?.(foreign);
  }

  drain(_untilNs: number, deadlineMs: number, nowMs: () => number): Drained {
    this.findForeignReads();
    let mostBytes = 0;
    for (;;) {
      const length = this.#file.read(this.#chunk);
      if (length === 0) return { mostBytes, behind: false };
      this.#decoder.push(this.#chunk.subarray(0, length));
      // The text does not say how it was spread over the CPUs: counted as if one CPU had written it all.
      mostBytes += length / TEXT_EXPANSION;
      if (nowMs() > deadlineMs) return { mostBytes, behind: true };
    }
  }

  openNewCpus(): void {}

  overruns(): Map<number, number> {
    return readLost(this.#stats);
  }

  close(): void {
    this.#file.close();
    for (const [, stats] of this.#stats) stats.close();
  }
}
