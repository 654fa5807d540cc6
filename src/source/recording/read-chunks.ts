/** Reads files, packed or not, in pieces: memory does not depend on the file's size. */
import { createReadStream, type ReadStream } from 'node:fs';
import * as zlib from 'node:zlib';
import { AgentError, errnoOf, fileError } from '../../system/errors.js';
import type { ReadEnd } from './formats/recording-format.js';

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
 */
export async function* readChunks(
  path: string,
  packing: Packing,
  onRead: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array, ReadEnd> {
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  if (onRead !== undefined) file.on('data', (chunk) => onRead(chunk.length));
  const unpacked = unpack(path, packing, file);
  try {
    for await (const chunk of unpacked) yield chunk as Buffer;
    return 'whole';
  } catch (error) {
    // Error codes of zlib (Z_DATA_ERROR, Z_BUF_ERROR ...): the file is damaged or ends early.
    if (errnoOf(error).startsWith('Z')) return 'cut';
    throw fileError(path, error);
  } finally {
    file.destroy();
    unpacked.destroy();
  }
}

function unpack(path: string, packing: Packing, file: ReadStream): NodeJS.ReadableStream & { destroy(): unknown } {
  const unpacker = createUnpacker(path, packing);
  if (unpacker === undefined) return file;
  file.on('error', (error) => unpacker.destroy(error));
  return file.pipe(unpacker);
}

function createUnpacker(
  path: string,
  packing: Packing,
): (NodeJS.ReadWriteStream & { destroy(error?: Error): unknown }) | undefined {
  if (packing === undefined) return undefined;
  if (packing === 'gz') return zlib.createGunzip({ chunkSize: CHUNK_BYTES });
  // Exists from Node.js 22.15 on; the type definitions used here are those of Node.js 20.
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => zlib.Gunzip };
  if (createZstdDecompress === undefined) {
    throw new AgentError(
      `${path}: packed with zstd, which this Node.js (${process.version}) cannot unpack; unpack it first: zstd -dk`,
    );
  }
  return createZstdDecompress();
}
