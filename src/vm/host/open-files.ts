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
import { lstatSync, opendirSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errnoOf, fileError, isOutOfFiles } from '../../system/errors.js';
import { tryFileId } from '../../system/files.js';
import { ListeningSockets } from './listening-sockets.js';
import { Slices } from './slices.js';

/** A VMM has a few hundred open files; one that leaks them may have any number. */
const MAX_FDS = 4096;
/** Descriptors between two looks at the time. */
const STRIDE = 32;

export interface Openers {
  /** File id (device and inode) -> the processes that have the file open for writing. */
  readonly byFile: ReadonlyMap<string, readonly number[]>;
  /** The processes whose descriptors this user may not see. */
  readonly hidden: ReadonlySet<number>;
  /** Time that the search took, without pauses. */
  readonly busyMs: number;
}

/**
 * Which of the processes have the files open for writing; a process may read the log of another VM. Compares the last
 * part of a link first: asking for the file behind a link costs more, and may wait for a file server.
 * @param files file id -> path
 * @throws AgentError if this process has too many files open
 */
export async function findOpeners(
  procfs: string,
  pids: readonly number[],
  files: ReadonlyMap<string, string>,
): Promise<Openers> {
  const names = new Set(Array.from(files.values(), (path) => basename(path)));
  const byFile = new Map<string, number[]>();
  const hidden = new Set<number>();
  const slices = new Slices();
  for (const pid of pids) {
    const isVisible = await visitDescriptors(procfs, pid, slices, (link, target) => {
      const id = names.has(basename(target).replace(/ \(deleted\)$/, '')) ? tryFileId(link) : undefined;
      const found = id !== undefined && files.has(id) && isForWriting(link) ? (byFile.get(id) ?? []) : undefined;
      if (id !== undefined && found !== undefined && !found.includes(pid)) byFile.set(id, [...found, pid]);
      return true;
    });
    if (!isVisible) hidden.add(pid);
  }
  return { byFile, hidden, busyMs: slices.busyMs };
}

export interface SocketServers {
  /** Path of the socket -> the processes that listen on it. */
  readonly byPath: ReadonlyMap<string, readonly number[]>;
  /** Path of the socket -> the user who owns its file. */
  readonly ownerOf: ReadonlyMap<string, number>;
  /** The processes whose descriptors this user may not see. */
  readonly hidden: ReadonlySet<number>;
  /** Time that the search took, without pauses. */
  readonly busyMs: number;
}

/**
 * Which of the processes listen on Unix sockets. The path that a process gave its socket may be of another mount
 * namespace, so the files are compared, not the paths.
 * @throws AgentError if this process has too many files open
 */
export async function findSocketServers(
  procfs: string,
  pids: readonly number[],
  paths: readonly string[],
): Promise<SocketServers> {
  const pathOf = new Map(paths.flatMap((path) => [[tryFileId(path) ?? '', path]] as const));
  pathOf.delete('');
  const names = new Set(paths.map((path) => basename(path)));
  const byPath = new Map<string, number[]>();
  const ownerOf = new Map(paths.flatMap((path) => ownerOfFile(path) ?? []));
  const hidden = new Set<number>();
  const slices = new Slices();
  const sockets = new ListeningSockets(procfs, names, slices);
  for (const pid of pids) {
    const folder = join(procfs, String(pid));
    const listening = await sockets.near(pid);
    const isVisible = await visitDescriptors(procfs, pid, slices, (_link, target) => {
      const own = listening.get(target);
      const id = own && tryFileId(join(folder, own.startsWith('/') ? 'root' : 'cwd', own));
      const path = pathOf.get(id ?? '');
      if (path !== undefined) byPath.set(path, [...(byPath.get(path) ?? []), pid]);
      // The first link shows whether they are visible.
      return listening.size > 0;
    });
    if (!isVisible) hidden.add(pid);
  }
  return { byPath, ownerOf, hidden, busyMs: slices.busyMs };
}

function ownerOfFile(path: string): [readonly [string, number]] | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats === undefined ? undefined : [[path, stats.uid]];
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

/** The kernel shows the mode in which a file was opened as the rights of the link's owner. */
function isForWriting(link: string): boolean {
  return ((lstatSync(link, { throwIfNoEntry: false })?.mode ?? 0) & 0o200) !== 0;
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
