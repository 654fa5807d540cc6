/**
 * The file that `record` writes: a trace.dat, which `trace-cmd report` and KernelShark open too.
 *
 * While the capture goes on, `vm.dat` has no pages, and those of each CPU are in `vm.dat.cpu0`, `vm.dat.cpu1` ... At
 * the end they are moved into it. If the capture is killed, `report vm.dat` reads both.
 */
import {
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { AgentError, fileError, isGone } from '../../system/errors.js';
import { type CapturedFormats, type CaptureEnd, traceDatHead } from './trace-dat-head.js';

const COPY_BYTES = 1 << 20;
const STICKY = 0o1000;

/** The pages of one CPU, in a file of their own. */
export interface PageFile {
  readonly path: string;
  readonly file: number;
}

/** @throws AgentError if there is something at the path, or if another user can change the folder that it is in */
export function requireUnused(path: string): void {
  requireOwnFolder(dirname(resolve(path)));
  try {
    lstatSync(path);
  } catch (error) {
    if (isGone(error)) return;
    throw fileError(path, error);
  }
  throw new AgentError(`${path}: exists; give a file that does not exist yet`);
}

/** Makes a file that only its owner can read: a recording shows what the VMs do. */
export function createOwnFile(path: string): number {
  try {
    return openSync(path, 'wx+', 0o600);
  } catch (error) {
    throw fileError(path, error);
  }
}

export class CaptureFile {
  readonly #path: string;
  readonly #formats: CapturedFormats;
  readonly #file: number;

  /** Creates the file, and the folders above it. @throws AgentError if that fails */
  constructor(path: string, formats: CapturedFormats) {
    this.#path = path;
    this.#formats = formats;
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    } catch (error) {
      throw fileError(path, error);
    }
    this.#file = createOwnFile(path);
    this.#write(traceDatHead(formats, { notes: '', cmdlines: Buffer.alloc(0), cpus: [] }).head, 0);
  }

  /**
   * Moves the pages into the file.
   * @param files by number of the CPU
   * @param stats text of each CPU's statistics
   */
  finish(
    files: ReadonlyMap<number, PageFile>,
    stats: ReadonlyMap<number, string>,
    end: Omit<CaptureEnd, 'cpus'>,
  ): void {
    const count = 1 + Math.max(-1, ...files.keys());
    const cpus = Array.from({ length: count }, (_, cpu) => ({
      stats: stats.get(cpu) ?? '',
      size: sizeOf(files.get(cpu)),
    }));
    const { head, places } = traceDatHead(this.#formats, { ...end, cpus });
    for (const [cpu, file] of files) this.#copy(file, places[cpu] as number);
    // Last: until then, the file has no pages, and theirs are complete.
    this.#write(head, 0);
    fsyncSync(this.#file);
    for (const { path } of files.values()) unlinkSync(path);
  }

  close(): void {
    closeSync(this.#file);
  }

  #copy({ path, file }: PageFile, place: number): void {
    const buffer = Buffer.allocUnsafeSlow(COPY_BYTES);
    for (let at = 0; ; ) {
      let length: number;
      try {
        length = readSync(file, buffer, 0, buffer.length, at);
      } catch (error) {
        throw fileError(path, error);
      }
      if (length === 0) return;
      this.#write(buffer.subarray(0, length), place + at);
      at += length;
    }
  }

  #write(bytes: Uint8Array, place: number): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at, bytes.length - at, place + at);
    } catch (error) {
      throw fileError(this.#path, error);
    }
  }
}

function sizeOf(file: PageFile | undefined): number {
  return file === undefined ? 0 : statSync(file.path).size;
}

/** The owner of a folder, and every user who may write to it, can replace the files in it: not if it is sticky. */
function requireOwnFolder(folder: string): void {
  let stats: ReturnType<typeof statSync>;
  try {
    stats = statSync(folder);
  } catch (error) {
    if (!isGone(error)) throw fileError(folder, error);
    // It will be created, so the folder above it counts.
    return requireOwnFolder(dirname(folder));
  }
  const uid = process.getuid?.() ?? 0;
  const isOurs = stats.uid === uid || stats.uid === 0;
  const othersMayWrite = (stats.mode & 0o022) !== 0 && (stats.mode & STICKY) === 0;
  if (!isOurs || othersMayWrite)
    throw new AgentError(`${folder}: another user can change the files in it; give a folder of your own`);
}
