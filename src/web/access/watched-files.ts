import { readFileSync, statSync } from 'node:fs';
import { fileError } from '../../system/errors.js';

/** Files that were read, and whether they are others now. */
export class WatchedFiles {
  /** Path -> what the file looked like just before it was read: what changes while it is read is seen as a change, and read again. */
  readonly #seen = new Map<string, string>();

  /** @throws AgentError; the file is watched all the same, as it may come yet */
  read(path: string): string {
    this.#seen.set(path, identity(path));
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw fileError(path, error);
    }
  }

  /** A few system calls, no more. */
  get changed(): boolean {
    return [...this.#seen].some(([path, seen]) => identity(path) !== seen);
  }
}

/** Cheap, and enough to tell that a file is another: also where a link to it was changed, as Kubernetes does with secrets. */
function identity(path: string): string {
  try {
    const { ino, mtimeMs, ctimeMs, size } = statSync(path);
    return `${ino}:${mtimeMs}:${ctimeMs}:${size}`;
  } catch {
    return 'not to be had';
  }
}
