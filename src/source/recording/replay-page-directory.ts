import { PageCursor } from '../../decode/ftrace/page-cursor.js';
import { PageStream } from '../../decode/ftrace/page-stream.js';
import { RecordDecoder } from '../../decode/ftrace/record-decoder.js';
import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import { CpuMerge } from '../tracefs/cpu-merge.js';
import type { ReadEnd } from './formats/recording-format.js';
import type { CpuFile, PageDirectory } from './page-directory.js';
import { readChunks } from './read-chunks.js';

export interface PageReplayOptions {
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
  /** Called with the number of bytes read from disk since the last call. */
  readonly onRead?: (bytes: number) => void;
}

/**
 * Reads a directory of pages to its end, the events of all CPUs merged by time. Keeps a chunk and a page of each CPU in
 * memory, however long the recording.
 * @throws AgentError if a file cannot be read
 */
export async function replayPageDirectory(directory: PageDirectory, options: PageReplayOptions): Promise<void> {
  const { formats, clockNs } = directory;
  const decoder = new RecordDecoder({ ...options, formats, clockNs });
  const merge = new CpuMerge<CpuReplay>(decoder.openPages);
  const cpus = directory.cpus.map((file) => new CpuReplay(file, decoder, options));
  try {
    for (const cpu of cpus) if (await cpu.readOn()) merge.add(cpu);
    for (let cpu = merge.first; cpu !== undefined; cpu = merge.first) {
      merge.runFirst(Number.POSITIVE_INFINITY);
      if (!cpu.loadNext()) await cpu.readOn();
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

  /** Loads the next page that has events. False if no page in memory has any: then {@link readOn}. */
  loadNext(): boolean {
    while (this.cursor.nextTimeNs === Number.POSITIVE_INFINITY) {
      const page = this.#pages.next();
      if (page === undefined) return false;
      this.cursor.load(page);
    }
    return true;
  }

  /** Reads from the file until a page has events. False at the end of the file. */
  async readOn(): Promise<boolean> {
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

  /** Loads what follows the last whole page. True if it has events. */
  #end(how: ReadEnd | undefined): boolean {
    const rest = this.#pages.end();
    if (rest !== undefined) this.cursor.load(rest);
    else if (how === 'cut') this.#sink.malformed('truncated');
    return this.cursor.nextTimeNs !== Number.POSITIVE_INFINITY;
  }
}
