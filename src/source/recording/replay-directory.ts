/**
 * Saved pages -> the sink, the events of all CPUs merged by time. Holds a chunk and a page of each CPU, however long the recording.
 */

import { PageCursor } from '../../decode/ftrace/page-cursor.js';
import { PageStream } from '../../decode/ftrace/page-stream.js';
import { RecordDecoder } from '../../decode/ftrace/record-decoder.js';
import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import { CpuMerge } from '../tracefs/cpu-merge.js';
import type { CpuFile, PageRecording } from './open-directory.js';
import { type ReadEnd, readChunks } from './open-file.js';

export interface PageReplayOptions {
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
  /** Told how many bytes on disk have been read since the last call. */
  readonly onRead?: (bytes: number) => void;
}

/**
 * Reads a directory of pages to its end.
 * @throws AgentError where a file can't be read
 */
export async function replayPages(recording: PageRecording, options: PageReplayOptions): Promise<void> {
  const { formats, clockNs } = recording;
  const decoder = new RecordDecoder({ ...options, formats, clockNs });
  const merge = new CpuMerge<CpuReplay>(decoder.openPages);
  const cpus = recording.cpus.map((file) => new CpuReplay(file, decoder, options));
  try {
    for (const cpu of cpus) if (await cpu.fetch()) merge.add(cpu);
    for (let cpu = merge.first; cpu !== undefined; cpu = merge.first) {
      merge.runFirst(Number.POSITIVE_INFINITY);
      if (!cpu.loadNext()) await cpu.fetch();
      merge.updateFirst();
    }
  } finally {
    for (const cpu of cpus) await cpu.close();
  }
}

class CpuReplay {
  readonly cursor: PageCursor;
  readonly #sink: TraceSink;
  readonly #pages: PageStream;
  readonly #chunks: AsyncGenerator<Uint8Array, ReadEnd>;

  constructor(file: CpuFile, decoder: RecordDecoder, { sink, onRead }: PageReplayOptions) {
    this.cursor = new PageCursor(decoder, file.cpu);
    this.#sink = sink;
    this.#pages = new PageStream(decoder.pageHeader.pageSize);
    this.#chunks = readChunks(file.path, file.packing, onRead);
  }

  /** False where all pages at hand are done: there may be more to {@link fetch}. */
  loadNext(): boolean {
    while (this.cursor.nextTimeNs === Number.POSITIVE_INFINITY) {
      const page = this.#pages.next();
      if (page === undefined) return false;
      this.cursor.load(page);
    }
    return true;
  }

  /** Reads on until there is an event. False where there is none any more. */
  async fetch(): Promise<boolean> {
    while (!this.loadNext()) {
      const next = await this.#chunks.next();
      if (next.done === true) return this.#end(next.value);
      this.#pages.push(next.value);
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#chunks.return('whole');
  }

  #end(how: ReadEnd | undefined): boolean {
    const rest = this.#pages.end();
    if (rest !== undefined) this.cursor.load(rest);
    else if (how === 'cut') this.#sink.malformed('truncated');
    return this.cursor.nextTimeNs !== Number.POSITIVE_INFINITY;
  }
}
