import { statSync } from 'node:fs';
import { readText } from '../../system/files.js';

/** Reads files and notices when they change later. */
export class WatchedFiles {
  /** Path -> identity just before the file was read, so that a change during the read counts as a change. */
  readonly #identities = new Map<string, string>();

  /** @throws AgentError if the file cannot be read; it is watched all the same, because it may appear later */
  read(path: string): string {
    this.#identities.set(path, identityOf(path));
    return readText(path);
  }

  /** Costs one stat per file. */
  get hasChanged(): boolean {
    return [...this.#identities].some(([path, identity]) => identityOf(path) !== identity);
  }
}

/**
 * A string that differs if the file was written or replaced. stat follows links, as Kubernetes updates a secret by
 * changing a link.
 */
function identityOf(path: string): string {
  try {
    const { ino, mtimeMs, ctimeMs, size } = statSync(path);
    return `${ino}:${mtimeMs}:${ctimeMs}:${size}`;
  } catch {
    return 'unreadable';
  }
}
