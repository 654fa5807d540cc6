/**
 * Which process has a file open (HOST): the links in /proc/PID/fd. They are for root and the process' own user to see;
 * where they are denied there is no answer.
 */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A VMM has a few hundred; one that leaks them may have any number. */
const MAX_FDS = 4096;

/**
 * Device and inode -> process, for those of `files` (path -> device and inode) that one of the processes has open.
 * Links are compared by their last part first: asking what they point to costs more, and may wait for a server.
 */
export function findOpeners(
  procfs: string,
  pids: readonly number[],
  files: ReadonlyMap<string, string>,
): Map<string, number> {
  const ids = new Set(files.values());
  const names = new Set(Array.from(files.keys(), (path) => basename(path)));
  const openers = new Map<string, number>();
  for (const pid of pids) {
    for (const fd of openFds(procfs, pid)) {
      const id = names.has(targetName(fd)) ? fileId(fd) : undefined;
      if (id !== undefined && ids.has(id) && !openers.has(id)) openers.set(id, pid);
    }
  }
  return openers;
}

function openFds(procfs: string, pid: number): string[] {
  const folder = join(procfs, String(pid), 'fd');
  try {
    return readdirSync(folder)
      .slice(0, MAX_FDS)
      .map((fd) => join(folder, fd));
  } catch {
    return [];
  }
}

function targetName(fd: string): string {
  try {
    return basename(readlinkSync(fd));
  } catch {
    return '';
  }
}

function fileId(fd: string): string | undefined {
  try {
    const { dev, ino } = statSync(fd);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
