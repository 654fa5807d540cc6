/** Reads files, packed or not, in pieces: memory does not depend on the file's size. */
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ZstdDecoder } from '../../../decode/zstd/zstd-decoder.js';
import { errnoOf } from '../../../system/errors.js';
import { openRecordedFile, recordedFileError } from './open-recorded-file.js';

/** `cut`: the file ends early or is damaged from here on. What came before was delivered. */
export type ReadEnd = 'whole' | 'cut';

export type Packing = 'gz' | 'zst' | undefined;

const CHUNK_BYTES = 1 << 18;

/** How a file is packed that begins with these bytes. */
export function packingOf(magic: Buffer): Packing {
  if (magic[0] === 0x1f && magic[1] === 0x8b) return 'gz';
  return magic.length >= 4 && magic.readUInt32LE(0) === 0xfd2fb528 ? 'zst' : undefined;
}

/**
 * The content of a file, unpacked.
 * @param onRead called with the number of bytes read from disk since the last call
 * @param chunkBytes bytes of one read from disk
 */
export async function* readChunks(
  path: string,
  packing: Packing,
  onRead: ((bytes: number) => void) | undefined,
  chunkBytes = CHUNK_BYTES,
): AsyncGenerator<Uint8Array, ReadEnd> {
  const file = (await openRecordedFile(path)).createReadStream({ highWaterMark: chunkBytes });
  if (onRead !== undefined) file.on('data', (chunk) => onRead(chunk.length));
  try {
    return yield* unpack(file, packing);
  } catch (error) {
    throw recordedFileError(path, error);
  } finally {
    file.destroy();
  }
}

/**
 * The content of an unpacked file, in memory that is used again: a chunk is valid until the next one is asked for. That
 * saves the garbage collector a fifth of the CPU time of a perf.data.
 */
export async function* readIntoOwnMemory(
  path: string,
  onRead: ((bytes: number) => void) | undefined,
  chunkBytes = CHUNK_BYTES,
): AsyncGenerator<Uint8Array, ReadEnd> {
  const file = await openRecordedFile(path);
  // While one chunk is decoded, the next one is read.
  const buffers = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)];
  const read = (turn: number) => {
    const reading = file.read(buffers[turn & 1] as Buffer, 0, chunkBytes, null);
    // It may fail before it is awaited, while the chunk before is decoded.
    reading.catch(() => {});
    return reading;
  };
  let next = read(0);
  try {
    for (let turn = 0; ; turn++) {
      const { bytesRead } = await next;
      if (bytesRead === 0) return 'whole';
      onRead?.(bytesRead);
      next = read(turn + 1);
      yield (buffers[turn & 1] as Buffer).subarray(0, bytesRead);
    }
  } catch (error) {
    throw recordedFileError(path, error);
  } finally {
    await next.catch(() => {});
    await file.close();
  }
}

/** The content of a stream, unpacked. */
export function unpack(stream: Readable, packing: Packing): AsyncGenerator<Uint8Array, ReadEnd> {
  return UNPACKERS[packing ?? 'plain'](stream);
}

type Unpacker = (stream: Readable) => AsyncGenerator<Uint8Array, ReadEnd>;

const UNPACKERS: Readonly<Record<'plain' | 'gz' | 'zst', Unpacker>> = {
  async *plain(stream) {
    for await (const chunk of stream) yield chunk as Buffer;
    return 'whole';
  },

  async *gz(stream) {
    const unpacked = createGunzip({ chunkSize: CHUNK_BYTES });
    stream.on('error', (error) => unpacked.destroy(error));
    stream.pipe(unpacked);
    try {
      for await (const chunk of unpacked) yield chunk as Buffer;
      return 'whole';
    } catch (error) {
      // Error codes of zlib (Z_DATA_ERROR, Z_BUF_ERROR ...): the input is damaged or ends early.
      if (errnoOf(error).startsWith('Z')) return 'cut';
      throw error;
    } finally {
      unpacked.destroy();
    }
  },

  async *zst(stream) {
    const decoder = new ZstdDecoder();
    for await (const chunk of stream) {
      decoder.push(chunk as Buffer);
      // A piece is valid until the next one only, but some decoders keep a part of it.
      for (let piece = decoder.next(); piece !== undefined; piece = decoder.next()) yield Uint8Array.from(piece);
      if (decoder.problem !== undefined) break;
    }
    return decoder.isComplete ? 'whole' : 'cut';
  },
};

/** Reads `length` bytes of a file, unpacked, from `offset` on; fewer at its end. */
export type RangeReader = (offset: number, length: number) => Promise<Uint8Array>;

/** Reads parts of a file, packed or not. A part of a packed file takes the time to unpack everything before it. */
export function rangeReader(path: string, packing: Packing): RangeReader {
  return packing === undefined
    ? (offset, length) => readPlain(path, offset, length)
    : (offset, length) => readPacked(path, packing, offset, length);
}

async function readPlain(path: string, offset: number, length: number): Promise<Uint8Array> {
  const file = await openRecordedFile(path);
  try {
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
    let at = 0;
    while (at < bytes.length) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at, offset + at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return bytes.subarray(0, at);
  } catch (error) {
    throw recordedFileError(path, error);
  } finally {
    await file.close();
  }
}

async function readPacked(path: string, packing: Packing, offset: number, length: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let position = 0;
  for await (const chunk of readChunks(path, packing, undefined)) {
    const part = chunk.subarray(Math.max(0, offset - position), Math.max(0, offset + length - position));
    if (part.length > 0) parts.push(part);
    position += chunk.length;
    if (position >= offset + length) break;
  }
  return Buffer.concat(parts);
}
