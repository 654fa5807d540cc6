import { openFileLimit } from '../../system/open-file-limit.js';
import type { FileFollower } from './file-follower.js';

export interface OpenFile {
  readonly fd: number;
  /** `device:inode`: identifies the file whatever its name. */
  readonly id: string;
  /** User who owns the file. */
  readonly uid: number;
  readonly follower: FileFollower;
}

const MAX_OPEN = 4096;

/**
 * The files that are followed for some patterns. All paths share it, so that no file is read under two names.
 *
 * They take at most an eighth of the descriptors that this process may have; logs and simple traces are followed
 * separately. One user's files take at most half of that, unless the user is root: other users' files stay
 * followed.
 */
export class OpenFiles {
  readonly max: number;
  readonly #byId = new Map<string, OpenFile>();
  readonly #countByUid = new Map<number, number>();

  constructor(max = Math.min(MAX_OPEN, Math.floor(openFileLimit() / 8))) {
    this.max = max;
  }

  get isFull(): boolean {
    return this.#byId.size >= this.max;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  hasRoomFor(uid: number): boolean {
    return !this.isFull && (uid === 0 || (this.#countByUid.get(uid) ?? 0) < this.max / 2);
  }

  add(file: OpenFile): void {
    this.#byId.set(file.id, file);
    this.#countByUid.set(file.uid, (this.#countByUid.get(file.uid) ?? 0) + 1);
  }

  delete({ id, uid }: OpenFile): void {
    if (!this.#byId.delete(id)) return;
    const left = (this.#countByUid.get(uid) ?? 0) - 1;
    if (left > 0) this.#countByUid.set(uid, left);
    else this.#countByUid.delete(uid);
  }
}
