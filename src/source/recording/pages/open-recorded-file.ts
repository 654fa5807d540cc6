import { constants, openSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { AgentError, errnoReason } from '../../../system/errors.js';

/** Never waits: to open a pipe, or to read /proc/kmsg, may take for ever. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;
const STREAM =
  'a stream, which waits for more instead of ending; save a part of it to a file, or give it on standard input: report -';
/** The kernel has nothing to deliver now (EAGAIN), or the file cannot be read from any place (ESPIPE). */
const STREAM_REASONS: Readonly<Record<string, string>> = { EAGAIN: STREAM, ESPIPE: STREAM };

/**
 * Opens a file of a recording, which must be a regular file.
 * @throws AgentError if it is not, or cannot be opened
 */
export async function openRecordedFile(path: string): Promise<FileHandle> {
  checkIsFile(path);
  return await open(path, FLAGS).catch((error) => {
    throw recordedFileError(path, error);
  });
}

/** The same, which returns a descriptor. */
export function openRecordedFileSync(path: string): number {
  checkIsFile(path);
  try {
    return openSync(path, FLAGS);
  } catch (error) {
    throw recordedFileError(path, error);
  }
}

/** A problem with a file that is being read. */
export function recordedFileError(path: string, cause: unknown): AgentError {
  if (cause instanceof AgentError) return cause;
  return new AgentError(`${path}: ${errnoReason(cause, STREAM_REASONS)}`, { cause });
}

/** Looks before the file is opened, because to open some devices is to use them. */
function checkIsFile(path: string): void {
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) throw new AgentError(`${path}: is a directory; name the files in it`);
    if (!stats.isFile())
      throw new AgentError(
        `${path}: not a regular file; save its content to a file, or give it on standard input: report -`,
      );
  } catch (error) {
    throw recordedFileError(path, error);
  }
}
