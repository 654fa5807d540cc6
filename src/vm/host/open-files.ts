/**
 * Finds the process that has a file open (HOST): the links in /proc/PID/fd. Only root and the process's own user may
 * read them.
 */
import { readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { tryFileId, tryListFolder } from '../../system/files.js';

/** A VMM has a few hundred open files; one that leaks them may have any number. */
const MAX_FDS = 4096;

/**
 * Returns file id (device and inode) -> process, for the files that one of the processes has open. Compares the last
 * part of a link first: asking for the file behind a link costs more, and may wait for a file server.
 * @param files path -> file id
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
    const folder = join(procfs, String(pid), 'fd');
    for (const entry of tryListFolder(folder).slice(0, MAX_FDS)) {
      const fd = join(folder, entry);
      const id = names.has(targetName(fd)) ? tryFileId(fd) : undefined;
      if (id !== undefined && ids.has(id) && !openers.has(id)) openers.set(id, pid);
    }
  }
  return openers;
}

function targetName(fd: string): string {
  try {
    return basename(readlinkSync(fd));
  } catch {
    return '';
  }
}
