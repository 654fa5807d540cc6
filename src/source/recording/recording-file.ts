import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { AgentError } from '../../system/errors.js';
import { FormatSearch } from './formats/recognise.js';
import type { PageFormat, RecordingFormat } from './formats/recording-format.js';
import { openRecordedFile, recordedFileError } from './pages/open-recorded-file.js';
import { PAGE_FILE } from './pages/page-files.js';
import type { PageRecording } from './pages/page-recording.js';
import { packingOf, type ReadEnd, readChunks, readIntoOwnMemory, unpack } from './pages/read-chunks.js';

/** A recording that is one file, packed or not. */
export interface RecordingFile {
  /** For messages. */
  readonly path: string;
  /** The path, which may be that of a file named after a VM; '' for standard input. */
  readonly fileName: string;
  readonly format: RecordingFormat;
  /** Bytes on disk: what the arguments of `onRead` add up to. */
  readonly size: number;
  /**
   * The content, unpacked, in pieces.
   * @param onRead called with the number of bytes read from disk since the last call
   * @param mayReuse true if a piece is not needed any more when the next one is asked for
   */
  chunks(onRead?: (bytes: number) => void, mayReuse?: boolean): AsyncGenerator<Uint8Array, ReadEnd>;
}

/** Bytes that are enough to recognise how a file is packed. */
export const MAGIC_BYTES = 16;
/** A file is read alone, so its chunks may be large: each of them costs a wait for another thread. */
const CHUNK_BYTES = 1 << 20;

/**
 * @param tracefs a copy of the host's tracefs, for files that do not say how to read them
 * @throws AgentError if the file cannot be read or has no known format
 */
export async function openFile(path: string, tracefs: string | undefined): Promise<RecordingFile | PageRecording> {
  if (PAGE_FILE.test(basename(path)))
    throw new AgentError(
      `${path}: pages of one CPU; give the directory that it is in, which holds the other CPUs' too`,
    );
  const { size, magic } = await inspect(path);
  const packing = packingOf(magic);
  const chunks = (onRead?: (bytes: number) => void, mayReuse = false) =>
    mayReuse && packing === undefined
      ? readIntoOwnMemory(path, onRead, CHUNK_BYTES)
      : readChunks(path, packing, onRead, CHUNK_BYTES);
  const format = await recognise(path, chunks());
  if ('openPages' in format) return await format.openPages(path, packing, tracefs);
  return { path, fileName: path, size, chunks, format: (await format.readAhead?.(path, packing)) ?? format };
}

/** A recording in memory that is read from its start to its end. The path is for messages. */
export async function openRecordingBytes(path: string, bytes: Buffer): Promise<RecordingFile> {
  const chunks = () => unpack(Readable.from([bytes]), packingOf(bytes));
  const format = await recognise(path, chunks());
  if ('openPages' in format) throw new AgentError(`${path}: cannot be read from its start to its end`);
  return { path, fileName: path, size: bytes.length, chunks, format };
}

/** Reads a file until its format is known: nearly always one chunk. */
async function recognise(
  path: string,
  chunks: AsyncGenerator<Uint8Array, ReadEnd>,
): Promise<PageFormat | RecordingFormat> {
  const search = new FormatSearch(path);
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    const format = search.push(chunk);
    if (format !== undefined) return format;
  }
  if (length === 0) throw new AgentError(`${path}: holds nothing that can be unpacked`);
  return search.end();
}

async function inspect(path: string): Promise<{ size: number; magic: Buffer }> {
  const file = await openRecordedFile(path);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC_BYTES), 0, MAGIC_BYTES, 0);
    if (bytesRead === 0) throw new AgentError(`${path}: is empty`);
    return { size, magic: buffer.subarray(0, bytesRead) };
  } catch (error) {
    throw recordedFileError(path, error);
  } finally {
    await file.close();
  }
}
