/**
 * Finds the processes that have a file open, and those that serve a socket (HOST), by the links in /proc/PID/fd:
 *
 *   3 -> /var/log/qemu/vm-a.log        4 -> socket:[184211]
 *
 * The kernel shows them to root with CAP_SYS_PTRACE, and to the process's own user if the process has no capability
 * that this one lacks. So an agent without capabilities sees none of a root's QEMU, or of another user's.
 *
 * A process may have any number of descriptors, so a search takes slices of time and lets other work run between them.
 * 100 processes with 1,000 descriptors each took 484 ms at once.
 */
import { opendirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, fileError, isOutOfFiles } from '../../system/errors.js';
import { tryFileId } from '../../system/files.js';

/** A VMM has a few hundred open files; one that leaks them may have any number. */
const MAX_FDS = 4096;
const SLICE_MS = 10;
const PAUSE_MS = 10;
/** Descriptors between two looks at the time. */
const STRIDE = 32;

export interface Openers {
  /** File id (device and inode) -> the processes that have the file open. */
  readonly byFile: ReadonlyMap<string, readonly number[]>;
  /** The processes whose descriptors this user may not see. */
  readonly hidden: ReadonlySet<number>;
  /** Time that the search took, without pauses. */
  readonly busyMs: number;
}

/**
 * Which of the processes have the files open. Compares the last part of a link first: asking for the file behind a link
 * costs more, and may wait for a file server.
 * @param files path -> file id
 * @throws AgentError if this process has too many files open
 */
export async function findOpeners(
  procfs: string,
  pids: readonly number[],
  files: ReadonlyMap<string, string>,
): Promise<Openers> {
  const ids = new Set(files.values());
  const names = new Set(Array.from(files.keys(), (path) => basename(path)));
  const byFile = new Map<string, number[]>();
  const hidden = new Set<number>();
  const slices = new Slices();
  for (const pid of pids) {
    const isVisible = await visitDescriptors(procfs, pid, slices, (link, target) => {
      const id = names.has(basename(target).replace(/ \(deleted\)$/, '')) ? tryFileId(link) : undefined;
      const found = id !== undefined && ids.has(id) ? (byFile.get(id) ?? []) : undefined;
      if (id !== undefined && found !== undefined && !found.includes(pid)) byFile.set(id, [...found, pid]);
      return true;
    });
    if (!isVisible) hidden.add(pid);
  }
  return { byFile, hidden, busyMs: slices.busyMs };
}

export interface SocketServers {
  /** The processes that listen on the socket. */
  readonly pids: readonly number[];
  /** The processes whose descriptors this user may not see. */
  readonly hidden: ReadonlySet<number>;
}

/**
 * Which of the processes listen on the Unix socket at `path`. /proc/PID/net/unix names the listening sockets of the
 * process's network namespace, by the paths that the processes gave them:
 *
 *   0000000000000000: 00000002 00000000 00010000 0001 01 184211 /run/vm-a.qmp
 *
 * The path may be that of another mount namespace, so the files are compared, not the paths.
 * @throws AgentError if this process has too many files open
 */
export async function findSocketServers(procfs: string, pids: readonly number[], path: string): Promise<SocketServers> {
  const id = tryFileId(path);
  const servers: number[] = [];
  const hidden = new Set<number>();
  const slices = new Slices();
  for (const pid of pids) {
    const inodes = new Set(id === undefined ? [] : listeningInodes(procfs, pid, basename(path), id));
    let isServer = false;
    const isVisible = await visitDescriptors(procfs, pid, slices, (_link, target) => {
      isServer ||= inodes.has(target);
      // The first link shows whether they are visible.
      return inodes.size > 0 && !isServer;
    });
    if (isServer) servers.push(pid);
    if (!isVisible) hidden.add(pid);
  }
  return { pids: servers, hidden };
}

const LISTENS = '00010000';
/** Bytes of a table of sockets: 100,000 sockets. */
const MAX_TABLE = 1 << 23;

/** Links `socket:[INODE]` of the listening sockets whose file is `id`, in the namespaces of a process. */
function listeningInodes(procfs: string, pid: number, name: string, id: string): string[] {
  const folder = join(procfs, String(pid));
  const inodes: string[] = [];
  for (const line of readTable(join(folder, 'net/unix')).split('\n')) {
    if (!line.endsWith(name) || !line.includes(LISTENS)) continue;
    const [, , , flags, , , inode, ...rest] = line.split(/ +/);
    const bound = rest.join(' ');
    const at = bound.startsWith('/') ? 'root' : 'cwd';
    if (flags === LISTENS && tryFileId(join(folder, at, bound)) === id) inodes.push(`socket:[${inode}]`);
  }
  return inodes;
}

function readTable(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    return text.length > MAX_TABLE ? '' : text;
  } catch {
    return '';
  }
}

/** Divides long work into slices, with pauses between them for other work of the event loop. */
class Slices {
  #startMs = performance.now();
  busyMs = 0;

  /** Waits a moment if this slice has taken long enough. */
  async turn(): Promise<void> {
    const spentMs = performance.now() - this.#startMs;
    if (spentMs < SLICE_MS) return;
    this.busyMs += spentMs;
    await sleep(PAUSE_MS, undefined, { ref: false });
    this.#startMs = performance.now();
  }
}

/**
 * Visits the links of a process's descriptors, until `visit` returns false. Resolves to false if this user may not see
 * them.
 */
async function visitDescriptors(
  procfs: string,
  pid: number,
  slices: Slices,
  visit: (link: string, target: string) => boolean,
): Promise<boolean> {
  const folder = join(procfs, String(pid), 'fd');
  const names: string[] = [];
  try {
    const listing = opendirSync(folder, { bufferSize: 256 });
    for (let entry = listing.readSync(); entry !== null && names.length < MAX_FDS; entry = listing.readSync())
      names.push(entry.name);
    listing.closeSync();
    for (const [index, name] of names.entries()) {
      if (index % STRIDE === 0) await slices.turn();
      const link = join(folder, name);
      const target = tryReadLink(link);
      if (target !== undefined && !visit(link, target)) return true;
    }
    return true;
  } catch (error) {
    if (isOutOfFiles(error)) throw fileError('files of processes', error);
    // Any other error: the process has ended.
    return !HIDDEN.has(errnoOf(error));
  }
}

const HIDDEN: ReadonlySet<string> = new Set(['EACCES', 'EPERM']);

/** Undefined if the descriptor was closed. @throws if this user may not see it */
function tryReadLink(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch (error) {
    if (HIDDEN.has(errnoOf(error))) throw error;
    return undefined;
  }
}
