/**
 * A file by its name, through rotation: another file may take its place, and whoever writes may go on with the old one
 * for a while.
 */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { AgentError, fileError } from '../../system/errors.js';
import type { InodeReader } from './followed-file.js';

export interface OpenFile {
  readonly fd: number;
  /** Device and inode: which file it is, whatever its name. */
  readonly id: string;
  readonly reader: InodeReader;
}

export interface RotatingFileOptions {
  readonly path: string;
  /** What is in the first file already was there before anyone was to count it. */
  readonly fromEnd: boolean;
  readonly read: (fd: number, fromEnd: boolean, nowMs: number) => InodeReader;
  /** Files that are read already, also under another name. */
  readonly known: Map<string, OpenFile>;
}

/** A file without its name is read on until nothing has come for so long. */
const IDLE_MS = 30_000;
/** As long as nobody writes to the file that took its place, it is kept much longer. */
const IDLE_WITHOUT_HEIR_MS = 600_000;
const MAX_OLD = 4;

export class RotatingFile {
  readonly path: string;
  readonly #options: RotatingFileOptions;
  #current: OpenFile | undefined;
  /** Files that had this name before. */
  #old: OpenFile[] = [];
  #gone = false;
  #fromEnd: boolean;
  /** The file that has the name now, but is read under another one. */
  #others = '';

  constructor(options: RotatingFileOptions) {
    this.path = options.path;
    this.#fromEnd = options.fromEnd;
    this.#options = options;
  }

  /** Which file has the name now, as far as it is read. */
  get id(): string | undefined {
    return this.#current?.id;
  }

  /** Nothing under this name, and nothing left to read of what had it. */
  get gone(): boolean {
    return this.#gone && this.#current === undefined && this.#old.length === 0;
  }

  /** Of all that had the name, and are still read. */
  get bytesRead(): number {
    return this.#all().reduce((sum, { reader }) => sum + reader.bytesRead, 0);
  }

  get lastActiveMs(): number {
    return Math.max(this.#current?.reader.activeMs ?? 0, ...this.#old.map(({ reader }) => reader.activeMs));
  }

  /** @throws AgentError where the file is there but can't be read */
  poll(nowMs: number, deadlineMs: number): void {
    // The old first: what they have was written before.
    for (const { reader } of this.#old) reader.poll(nowMs, deadlineMs);
    this.#current?.reader.poll(nowMs, deadlineMs);
    this.#look(nowMs, deadlineMs);
    this.#closeIdle(nowMs);
  }

  close(): void {
    for (const file of this.#all()) this.#close(file);
    this.#old = [];
    this.#current = undefined;
  }

  #all(): OpenFile[] {
    return this.#current === undefined ? this.#old : [...this.#old, this.#current];
  }

  /** Whether the name means another file by now. */
  #look(nowMs: number, deadlineMs: number): void {
    const stat = statSync(this.path, { throwIfNoEntry: false });
    this.#gone = stat === undefined;
    if (stat === undefined) {
      this.#fromEnd = false;
      this.#retire();
      return;
    }
    const id = `${stat.dev}:${stat.ino}`;
    if (id === this.#current?.id || id === this.#others) return;
    const back = this.#old.find((file) => file.id === id);
    // Read under another name already, to its end: rotation brought it here.
    this.#others = back === undefined && this.#options.known.has(id) ? id : '';
    if (this.#others !== '') return;
    this.#retire();
    if (back === undefined) this.#current = this.#open(nowMs);
    else {
      this.#old = this.#old.filter((file) => file !== back);
      this.#current = back;
    }
    this.#current?.reader.poll(nowMs, deadlineMs);
  }

  #retire(): void {
    if (this.#current === undefined) return;
    this.#old.push(this.#current);
    this.#current = undefined;
  }

  #open(nowMs: number): OpenFile | undefined {
    let fd: number;
    try {
      // A pipe that nobody writes to would keep us waiting.
      fd = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw fileError(this.path, error);
    }
    const stat = fstatSync(fd);
    if (!stat.isFile()) {
      closeSync(fd);
      throw new AgentError(`${this.path}: not a regular file, so it can't be followed`);
    }
    const file = { fd, id: `${stat.dev}:${stat.ino}`, reader: this.#options.read(fd, this.#fromEnd, nowMs) };
    this.#fromEnd = false;
    this.#options.known.set(file.id, file);
    return file;
  }

  #closeIdle(nowMs: number): void {
    if (this.#old.length === 0) return;
    const heir = this.#current !== undefined && fstatSync(this.#current.fd).size > 0;
    const limit = heir || this.#gone ? IDLE_MS : IDLE_WITHOUT_HEIR_MS;
    const idle = this.#old.filter(({ reader }) => !reader.busy && nowMs - reader.activeMs > limit);
    const tooMany = this.#old.slice(0, Math.max(0, this.#old.length - MAX_OLD));
    for (const file of new Set([...idle, ...tooMany])) {
      this.#close(file);
      this.#old = this.#old.filter((other) => other !== file);
    }
  }

  #close({ fd, id, reader }: OpenFile): void {
    reader.close();
    closeSync(fd);
    this.#options.known.delete(id);
  }
}
