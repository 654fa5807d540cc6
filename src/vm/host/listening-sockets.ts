import { closeSync, openSync, readlinkSync, readSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileError, isOutOfFiles } from '../../system/errors.js';
import type { Slices } from './slices.js';

/** __SO_ACCEPTCON: the socket listens. */
const LISTENS = '00010000';
/** Bytes of a table of sockets: some 500,000 of them. */
const MAX_TABLE = 1 << 25;
const LF = 10;
const CHUNK = 1 << 16;
/** Longest line: a path has 108 bytes. */
const MAX_LINE = 4096;

/** Link of a descriptor, `socket:[INODE]` -> the path that its process gave the socket. */
type SocketPaths = ReadonlyMap<string, string>;

/**
 * The listening Unix sockets with some names (HOST). /proc/PID/net/unix lists the sockets of the network namespace of a
 * process:
 *
 *   0000000000000000: 00000002 00000000 00010000 0001 01 184211 /run/vm-a.qmp
 *
 * Any process there may make any number, so each table is read once, in slices: 60,000 sockets take 60 ms.
 */
export class ListeningSockets {
  readonly #procfs: string;
  readonly #names: ReadonlySet<string>;
  readonly #slices: Slices;
  /** Network namespace -> its sockets. */
  readonly #tables = new Map<string, Promise<SocketPaths>>();

  /** @param names last parts of the paths that are wanted */
  constructor(procfs: string, names: ReadonlySet<string>, slices: Slices) {
    this.#procfs = procfs;
    this.#names = names;
    this.#slices = slices;
  }

  /** @throws AgentError if this process has too many files open */
  near(pid: number): Promise<SocketPaths> {
    const folder = join(this.#procfs, String(pid));
    const namespace = tryReadNamespace(folder) ?? folder;
    const known = this.#tables.get(namespace) ?? this.#read(join(folder, 'net/unix'));
    this.#tables.set(namespace, known);
    return known;
  }

  async #read(path: string): Promise<SocketPaths> {
    const sockets = new Map<string, string>();
    let fd: number | undefined;
    try {
      fd = openSync(path, 'r');
      const buffer = Buffer.allocUnsafe(CHUNK);
      let used = 0;
      for (let size = 0; size < MAX_TABLE; ) {
        const length = readSync(fd, buffer, used, buffer.length - used, null);
        if (length === 0) break;
        size += length;
        used += length;
        const end = buffer.lastIndexOf(LF, used - 1) + 1;
        this.#addLines(buffer.toString('utf8', 0, end), sockets);
        buffer.copyWithin(0, end, used);
        used = used - end > MAX_LINE ? 0 : used - end;
        await this.#slices.turn();
      }
    } catch (error) {
      if (isOutOfFiles(error)) throw fileError('files of processes', error);
      // The process has ended.
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
    return sockets;
  }

  #addLines(text: string, sockets: Map<string, string>): void {
    for (const line of text.split('\n')) {
      if (!line.includes(LISTENS)) continue;
      const [, , , flags, , , inode, ...rest] = line.split(/ +/);
      const path = rest.join(' ');
      if (flags === LISTENS && this.#names.has(basename(path))) sockets.set(`socket:[${inode}]`, path);
    }
  }
}

/** Undefined if the process has ended, or may not be looked at. */
function tryReadNamespace(folder: string): string | undefined {
  try {
    return readlinkSync(join(folder, 'ns/net'));
  } catch {
    return undefined;
  }
}
