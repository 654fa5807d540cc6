import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { AgentError } from './errors.js';

/** Linux's O_PATH, which Node.js does not name: a handle of the file that neither opens nor waits for it. */
const O_PATH = 0x200000;
const FOLDER = O_PATH | constants.O_DIRECTORY;

/**
 * Opens a file that other users may have made, for reading: a regular file, no symbolic link, and none on the way from
 * `folder` to it. `folder` itself is as the user named it. Each step starts from the handle of the step before, and the
 * file is opened by its own handle after it was checked, so nothing can be put in its place meanwhile.
 * @throws AgentError if it is no regular file; the system's error if it cannot be reached
 */
export function openRegularFile(folder: string, parts: readonly string[]): number {
  const path = [folder, ...parts].join('/');
  let handle = openSync(folder, FOLDER);
  try {
    for (const [index, part] of parts.entries()) {
      const flags = index === parts.length - 1 ? O_PATH : FOLDER;
      const next = openSync(`/proc/self/fd/${handle}/${part}`, flags | constants.O_NOFOLLOW);
      closeSync(handle);
      handle = next;
    }
    const stat = fstatSync(handle);
    if (stat.isSymbolicLink()) throw new AgentError(`${path}: a symbolic link; name the file itself`);
    if (!stat.isFile()) throw new AgentError(`${path}: not a regular file, so it cannot be followed`);
    return openSync(`/proc/self/fd/${handle}`, constants.O_RDONLY | constants.O_NONBLOCK);
  } finally {
    closeSync(handle);
  }
}

/** The text of such a file. Undefined if it cannot be read, or is longer than `maxLength` bytes. */
export function tryReadRegularFile(folder: string, parts: readonly string[], maxLength: number): string | undefined {
  let fd: number | undefined;
  try {
    fd = openRegularFile(folder, parts);
    const { size } = fstatSync(fd);
    if (size > maxLength) return undefined;
    const bytes = Buffer.alloc(size);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, size, 0));
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
