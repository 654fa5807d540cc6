import { join } from 'node:path';
import { FtraceTextDecoder } from '../../decode/ftrace/text-decoder.js';
import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import { BufferFile, type Drained, type TraceReader } from './trace-reader.js';

const CHUNK_BYTES = 1 << 18;
/** A line of text is about this many times as long as the record that it shows. */
const TEXT_EXPANSION = 4;

/** Reads `trace_pipe`: the kernel merges the CPUs' buffers by time and formats each event as a line. */
export class TextReader implements TraceReader {
  readonly #file: BufferFile;
  readonly #decoder: FtraceTextDecoder;
  readonly #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

  /** @param path the instance, or tracefs itself */
  constructor(path: string, vocabulary: Vocabulary, sink: TraceSink) {
    this.#file = new BufferFile(join(path, 'trace_pipe'));
    this.#decoder = new FtraceTextDecoder(vocabulary, sink);
  }

  drain(_untilNs: number, deadlineMs: number, nowMs: () => number): Drained {
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

  close(): void {
    this.#file.close();
  }
}
