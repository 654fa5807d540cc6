import { closeSync, fstatSync, readSync } from 'node:fs';
import { type ByteSource, bytesInMemory } from '../../../decode/trace-dat/byte-source.js';
import { AgentError } from '../../../system/errors.js';
import { openRecordedFileSync, recordedFileError } from './open-recorded-file.js';
import { type Packing, readChunks } from './read-chunks.js';

/** A packed file cannot be read at any place, so its content is kept in memory. */
const MAX_IN_MEMORY = 1 << 28;
const UNPACK: Readonly<Record<'gz' | 'zst', string>> = { gz: 'gunzip -k', zst: 'unzstd' };

/** A file that can be read at any place. */
export interface OpenBytes extends ByteSource {
  /** Can be read again after that. */
  close(): void;
}

/** @throws AgentError if the file cannot be read, or is packed and too large */
export async function openBytes(path: string, packing: Packing): Promise<OpenBytes> {
  return packing === undefined ? new FileBytes(path) : await unpackedBytes(path, packing);
}

class FileBytes implements OpenBytes {
  readonly size: number;
  readonly #path: string;
  #file: number | undefined;
  #buffer = Buffer.allocUnsafeSlow(1 << 16);

  constructor(path: string) {
    this.#path = path;
    try {
      this.#file = openRecordedFileSync(path);
      this.size = fstatSync(this.#file).size;
    } catch (error) {
      throw recordedFileError(path, error);
    }
  }

  read(offset: number, length: number): Uint8Array {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    if (wanted > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(wanted);
    let held = 0;
    try {
      this.#file ??= openRecordedFileSync(this.#path);
      while (held < wanted) {
        const read = readSync(this.#file, this.#buffer, held, wanted - held, offset + held);
        if (read === 0) break;
        held += read;
      }
    } catch (error) {
      throw recordedFileError(this.#path, error);
    }
    return this.#buffer.subarray(0, held);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

async function unpackedBytes(path: string, packing: 'gz' | 'zst'): Promise<OpenBytes> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of readChunks(path, packing, undefined)) {
    size += piece.length;
    if (size > MAX_IN_MEMORY)
      throw new AgentError(
        `${path}: unpacks to more than ${MAX_IN_MEMORY >> 20} MiB, and such a file is not read from its start to its end; unpack it first: ${UNPACK[packing]} ${path}`,
      );
    pieces.push(piece);
  }
  return { ...bytesInMemory(Buffer.concat(pieces)), close: () => {} };
}
