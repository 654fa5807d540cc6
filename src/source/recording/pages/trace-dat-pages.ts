import { MAX_CHUNK_PAGES } from '../../../decode/trace-dat/find-pages.js';
import type { CpuPlace } from '../../../decode/trace-dat/options.js';
import type { TraceDat, TraceDatBuffer, Unpack } from '../../../decode/trace-dat/trace-dat.js';
import { AgentError } from '../../../system/errors.js';
import type { OpenBytes } from './file-bytes.js';
import type { CpuPages } from './page-recording.js';
import type { ReadEnd } from './read-chunks.js';

type SyncChunks = Generator<Uint8Array | undefined, ReadEnd>;
type OnRead = ((bytes: number) => void) | undefined;

/** Memory for chunks, all CPUs together. The packed pages of 1024 CPUs take 40 MiB. */
const MAX_MEMORY = 1 << 30;
/** Memory for chunks of plain pages, all CPUs together, and the largest chunk. */
const PLAIN_MEMORY = 1 << 26;
const MAX_PLAIN_CHUNK = 1 << 18;
/** Packed data is at most a little larger than its content. */
const PACKING_OVERHEAD = 1 << 12;

/** Reads the pages of a trace.dat, chunk by chunk. The file is open while the pages of any CPU are read. */
export class TraceDatPages {
  readonly #path: string;
  readonly #bytes: OpenBytes;
  readonly #bigEndian: boolean;
  readonly #unpack: Unpack;
  readonly #cpuCount: number;
  #readers = 0;
  /** Bytes of the chunks that are in memory. */
  #memory = 0;
  #damagedChunks = 0;

  constructor(path: string, bytes: OpenBytes, { bigEndian, buffers }: TraceDat, unpack: Unpack) {
    this.#path = path;
    this.#bytes = bytes;
    this.#bigEndian = bigEndian;
    this.#unpack = unpack;
    this.#cpuCount = buffers.reduce((sum, { cpus }) => sum + cpus.length, 0);
  }

  ofCpu({ pageSize, isPacked }: TraceDatBuffer, place: CpuPlace): CpuPages {
    const read = isPacked ? this.#packed.bind(this) : this.#plain.bind(this);
    return { cpu: place.cpu, pageSize, chunks: (onRead) => this.#whileOpen(read(pageSize, place, onRead)) };
  }

  warnings(): string[] {
    if (this.#damagedChunks === 0) return [];
    return [`damaged pages: ${this.#damagedChunks} of its chunks could not be unpacked and are left out`];
  }

  *#whileOpen(chunks: SyncChunks): SyncChunks {
    this.#readers++;
    try {
      return yield* chunks;
    } finally {
      this.#readers--;
      if (this.#readers === 0) this.#bytes.close();
    }
  }

  *#plain(pageSize: number, { offset, size, isCut = false }: CpuPlace, onRead: OnRead): SyncChunks {
    const pages = Math.floor(Math.min(MAX_PLAIN_CHUNK, PLAIN_MEMORY / this.#cpuCount) / pageSize);
    const chunk = new Uint8Array(Math.max(1, pages) * pageSize);
    this.#hold(chunk.length);
    const end = offset + size;
    for (let at = offset; at < end; ) {
      const bytes = this.#bytes.read(at, Math.min(chunk.length, end - at));
      if (bytes.length === 0) return 'cut';
      chunk.set(bytes);
      at += bytes.length;
      onRead?.(bytes.length);
      yield chunk.subarray(0, bytes.length);
    }
    return isCut ? 'cut' : 'whole';
  }

  *#packed(pageSize: number, { offset, size: placeSize }: CpuPlace, onRead: OnRead): SyncChunks {
    const [count] = this.#numbers(offset, 1);
    if (count === undefined) return 'cut';
    let at = offset + 4;
    const end = at + placeSize;
    let held = 0;
    for (let left = count; left > 0; left--) {
      const [packedSize, size] = this.#numbers(at, 2);
      // What follows a chunk that cannot be is not known to be one.
      if (packedSize === undefined || size === undefined || !isChunk(packedSize, size, pageSize)) return 'cut';
      if (at + 8 + packedSize > end) return 'cut';
      const packed = this.#bytes.read(at + 8, packedSize);
      if (packed.length < packedSize) return 'cut';
      at += 8 + packedSize;
      onRead?.(8 + packedSize);
      this.#hold(size - held);
      held = size;
      const content = this.#unpack(packed, size);
      const isWhole = content?.length === size;
      if (!isWhole) this.#damagedChunks++;
      yield isWhole ? content : undefined;
    }
    return 'whole';
  }

  #numbers(at: number, count: number): number[] {
    const bytes = this.#bytes.read(at, 4 * count);
    if (bytes.length < 4 * count) return [];
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return Array.from({ length: count }, (_, i) => view.getUint32(4 * i, !this.#bigEndian));
  }

  #hold(bytes: number): void {
    this.#memory += bytes;
    if (this.#memory > MAX_MEMORY)
      throw new AgentError(`${this.#path}: ${this.#cpuCount} CPUs with such pages need more than 1 GiB of memory`);
  }
}

function isChunk(packedSize: number, size: number, pageSize: number): boolean {
  const isWholePages = size > 0 && size % pageSize === 0 && size / pageSize <= MAX_CHUNK_PAGES;
  return isWholePages && packedSize <= size + size / 128 + PACKING_OVERHEAD;
}
