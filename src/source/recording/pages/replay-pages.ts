import type { EventFormats } from '../../../decode/format/event-format.js';
import { PageCursor } from '../../../decode/ftrace/page-cursor.js';
import { PageStream } from '../../../decode/ftrace/page-stream.js';
import { RecordDecoder } from '../../../decode/ftrace/record-decoder.js';
import type { TraceSink, Vocabulary } from '../../../trace/sink.js';
import { CpuMerge } from '../../tracefs/cpu-merge.js';
import type { CpuPages, MergedPages, PageChunks } from './page-recording.js';
import type { ReadEnd } from './read-chunks.js';

export interface PageReplayOptions {
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
  /** Called with the number of bytes read from disk since the last call. */
  readonly onRead?: (bytes: number) => void;
  /** Reading stops once it returns true. */
  readonly isDone?: () => boolean;
}

/**
 * Reads pages to their end, the events of all CPUs merged by time. Keeps a chunk and a page of each CPU in memory,
 * however long the recording.
 * @throws AgentError if a file cannot be read
 */
export async function replayPages(
  { cpus, nsPerTick }: MergedPages,
  formats: EventFormats,
  options: PageReplayOptions,
): Promise<void> {
  const decoder = new RecordDecoder({ ...options, formats, nsPerTick });
  const merge = new CpuMerge<CpuReplay>(decoder.openPages);
  const replays = cpus.map((pages) => new CpuReplay(pages, decoder, options));
  try {
    for (const cpu of replays) if (await cpu.readOn()) merge.add(cpu);
    for (let cpu = merge.first; cpu !== undefined; cpu = merge.first) {
      merge.runFirst(Number.POSITIVE_INFINITY);
      if (options.isDone?.() === true) break;
      if (!cpu.loadNext()) await cpu.readOn();
      merge.updateFirst();
    }
  } finally {
    for (const cpu of replays) await cpu.close();
  }
}

class CpuReplay {
  readonly cursor: PageCursor;
  readonly #sink: TraceSink;
  readonly #pages: PageStream;
  readonly #chunks: PageChunks;

  constructor(pages: CpuPages, decoder: RecordDecoder, { sink, onRead }: PageReplayOptions) {
    this.cursor = new PageCursor(decoder, pages.cpu);
    this.#sink = sink;
    this.#pages = new PageStream(pages.pageSize);
    this.#chunks = pages.chunks(onRead);
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
      if (next.value === undefined) this.cursor.missPages();
      else this.#pages.push(next.value);
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#chunks.return('whole');
  }

  /** Loads what follows the last whole page. True if it has events. */
  #end(how: ReadEnd | undefined): boolean {
    const rest = this.#pages.end();
    if (rest !== undefined) this.cursor.load(rest, true);
    else if (how === 'cut') this.#sink.malformed('truncated');
    this.cursor.endPages();
    return this.cursor.nextTimeNs !== Number.POSITIVE_INFINITY;
  }
}
