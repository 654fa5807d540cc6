/**
 * Saved recordings: opens a file, unpacks it, finds out what it is, and feeds it to the decoder of that format, at full speed
 * and in memory that does not depend on the file's size.
 */
import { createReadStream, type ReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import * as zlib from 'node:zlib';
import { looksLikeFtraceText } from '../../decode/ftrace/text-decoder.js';
import { looksLikeQemuLog } from '../../decode/qemu/log-decoder.js';
import { looksLikeSimpleTrace } from '../../decode/qemu/simple-decoder.js';
import { AgentError, fileError } from '../../system/errors.js';

export type RecordingFormat = 'ftrace-text' | 'qemu-log' | 'qemu-simple';

export interface Recording {
  readonly path: string;
  readonly format: RecordingFormat;
  /** Bytes on disk; what {@link Progress} counts up to. */
  readonly size: number;
  /** The content, unpacked. */
  chunks(onRead?: (bytes: number) => void): AsyncGenerator<Uint8Array, ReadEnd>;
}

/** `cut`: the compressed file ends early or is damaged from here on; what came before was delivered. */
export type ReadEnd = 'whole' | 'cut';

const HEAD_BYTES = 1 << 20;
const CHUNK_BYTES = 1 << 18;

/** What other tools' files begin with, and what to do about them. */
const NOT_OURS: readonly (readonly [magic: string, advice: string])[] = [
  ['\x17\x08\x44tracing', 'a trace.dat of trace-cmd; give the text that `trace-cmd report` prints'],
  ['PERFILE2', 'a perf.data file; give the text that `perf script` prints'],
  ['\xfd7zXZ\0', 'packed with xz, which Node.js cannot unpack; unpack it first: xz -dk'],
  ['BZh', 'packed with bzip2; unpack it first: bzip2 -dk'],
  ['PK\x03\x04', 'a zip archive; unpack it first'],
  ['\x7fELF', 'a program, not a recording'],
];

const FORMATS: readonly (readonly [RecordingFormat, (head: Uint8Array) => boolean])[] = [
  ['qemu-simple', looksLikeSimpleTrace],
  ['ftrace-text', looksLikeFtraceText],
  ['qemu-log', looksLikeQemuLog],
];

/** One CPU's pages, in a directory of them: `cpu0.raw`, `cpu12.raw.gz`. */
export const PAGE_FILE = /^cpu(\d+)\.raw(?:\.(gz|zst))?$/;

/** @throws AgentError where the file can't be read or is of no known format */
export async function openRecording(path: string): Promise<Recording> {
  if (PAGE_FILE.test(basename(path)))
    throw new AgentError(
      `${path}: pages of one CPU; give the directory that it is in, which holds the other CPUs' too`,
    );
  const { size, magic } = await look(path);
  const packing = packingOf(magic);
  const recording = { path, size, chunks: (onRead?: (bytes: number) => void) => readChunks(path, packing, onRead) };
  return { ...recording, format: recognise(path, await readHead(recording.chunks())) };
}

/** A function of its own, so that a recording's closures don't hold on to the head. */
function recognise(path: string, head: Uint8Array): RecordingFormat {
  if (head.length === 0) throw new AgentError(`${path}: holds nothing that can be unpacked`);
  const text = Buffer.from(head.subarray(0, 16)).toString('latin1');
  for (const [start, advice] of NOT_OURS) if (text.startsWith(start)) throw new AgentError(`${path}: ${advice}`);
  const format = FORMATS.find(([, matches]) => matches(head))?.[0];
  if (format === undefined) throw new AgentError(`${path}: not a format I know; ${EXPECTED}`);
  return format;
}

const EXPECTED =
  'expected ftrace text (trace_pipe, trace, trace-cmd report, perf script), a log of QEMU trace events, or a simple trace of QEMU, plain or packed';

async function look(path: string): Promise<{ size: number; magic: Buffer }> {
  try {
    // Before it is opened: a pipe that nobody writes to would keep us waiting.
    const is = await stat(path);
    if (is.isDirectory()) throw new AgentError(`${path}: is a directory; name the files in it`);
    if (!is.isFile()) throw new AgentError(`${path}: not a regular file; save its content to a file first`);
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(16), 0, 16, 0);
      if (bytesRead === 0) throw new AgentError(`${path}: is empty`);
      return { size: is.size, magic: buffer.subarray(0, bytesRead) };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw error instanceof AgentError ? error : fileError(path, error);
  }
}

async function readHead(chunks: AsyncGenerator<Uint8Array, ReadEnd>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length >= HEAD_BYTES) break;
  }
  return Buffer.concat(parts).subarray(0, HEAD_BYTES);
}

export type Packing = 'gz' | 'zst' | undefined;

function packingOf(magic: Buffer): Packing {
  if (magic[0] === 0x1f && magic[1] === 0x8b) return 'gz';
  return magic.length >= 4 && magic.readUInt32LE(0) === 0xfd2fb528 ? 'zst' : undefined;
}

/** A file's content, unpacked. */
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
    // zlib's own errors mean that the packed file is damaged or ends early: what could be unpacked has been delivered.
    if (error instanceof Error && 'errno' in error && 'code' in error && String(error.code).startsWith('Z'))
      return 'cut';
    throw fileError(path, error);
  } finally {
    file.destroy();
    unpacked.destroy();
  }
}

function unpack(path: string, packing: Packing, file: ReadStream): NodeJS.ReadableStream & { destroy(): unknown } {
  const through = unpacker(path, packing);
  if (through === undefined) return file;
  file.on('error', (error) => through.destroy(error));
  return file.pipe(through);
}

function unpacker(
  path: string,
  packing: Packing,
): (NodeJS.ReadWriteStream & { destroy(error?: Error): unknown }) | undefined {
  if (packing === undefined) return undefined;
  if (packing === 'gz') return zlib.createGunzip({ chunkSize: CHUNK_BYTES });
  // In Node.js from 22.15 on; its typings here are those of Node.js 20.
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => zlib.Gunzip };
  if (createZstdDecompress === undefined) {
    throw new AgentError(
      `${path}: packed with zstd, which this Node.js (${process.version}) cannot unpack; unpack it first: zstd -dk`,
    );
  }
  return createZstdDecompress();
}
