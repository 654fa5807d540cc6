/**
 * Small files and folders, read whole. Functions whose names begin with `try` answer "nothing" if the file cannot be
 * read, whatever the reason; the rest throw an AgentError that names the file. Code that must tell a file that is
 * gone from one that cannot be opened now (too many open files) reads by itself and asks `isGone` and `isOutOfFiles` of
 * errors.ts.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { AgentError, fileError } from './errors.js';

/** Longest file that is read whole. */
const MAX_BYTES = 1 << 26;

/** Undefined if the file cannot be read. */
export function tryReadText(path: string): string | undefined {
  return tryReadBytes(path)?.toString('utf8');
}

/** Undefined if the file cannot be read. */
export function tryReadBytes(path: string): Buffer | undefined {
  try {
    return readBytes(path);
  } catch {
    return undefined;
  }
}

/** Names of a folder's entries; none if it cannot be read. */
export function tryListFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** `device:inode`, equal for all names of one file; undefined if the file cannot be reached. */
export function tryFileId(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/** False also if the path cannot be reached: then the code that reads it reports the reason. */
export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** @throws AgentError if the file cannot be read */
export function readText(path: string): string {
  try {
    return readBytes(path).toString('utf8');
  } catch (error) {
    throw error instanceof AgentError ? error : fileError(path, error);
  }
}

/** Reads a regular file. A pipe is refused: to open or read it may take for ever, whatever signal arrives. */
function readBytes(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    if (stats.isDirectory()) throw new AgentError(`${path}: is a directory; name the files in it`);
    if (!stats.isFile()) throw new AgentError(`${path}: not a regular file, so it cannot be read`);
    if (stats.size > MAX_BYTES) throw new AgentError(`${path}: longer than ${MAX_BYTES >> 20} MiB`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Names of a folder's entries. @throws AgentError if the folder cannot be read */
export function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
}
