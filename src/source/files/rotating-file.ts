import { closeSync, fstatSync, lstatSync, type Stats } from 'node:fs';
import { dirname, relative } from 'node:path';
import { AgentError, fileError, isGone } from '../../system/errors.js';
import { openRegularFile } from '../../system/regular-file.js';
import type { FileFollower } from './file-follower.js';
import type { OpenFile, OpenFiles } from './open-files.js';
import { isSharedFolder } from './shared-folder.js';

export interface RotatingFileOptions {
  readonly path: string;
  /** Folder below which no symbolic link is followed. */
  readonly folder: string;
  /** True if the content of the first file is not new and does not count. */
  readonly fromEnd: boolean;
  readonly follow: (fd: number, fromEnd: boolean, nowMs: number) => FileFollower;
  /** All open files, also those with other paths. */
  readonly openFiles: OpenFiles;
}

/** A file that lost its name is closed after this time without new data. */
const IDLE_MS = 30_000;
/** The same while the new file of that name is empty: the writer has not switched to it yet. */
const IDLE_WITHOUT_SUCCESSOR_MS = 600_000;
const MAX_OLD = 4;

/**
 * Follows a path through rotation: when another file takes the name, the old file is followed on, because its writer
 * may not have switched to the new one yet.
 */
export class RotatingFile {
  readonly path: string;
  readonly #options: RotatingFileOptions;
  #current: OpenFile | undefined;
  /** Files that had this name before. */
  #old: OpenFile[] = [];
  #missing = false;
  #fromEnd: boolean;
  /** Id of the file that has the name now but is followed under another name; '' if there is none. */
  #followedElsewhere = '';

  constructor(options: RotatingFileOptions) {
    this.path = options.path;
    this.#fromEnd = options.fromEnd;
    this.#options = options;
  }

  /** `device:inode` of the file that has the name and is followed here; undefined if there is none. */
  get id(): string | undefined {
    return this.#current?.id;
  }

  /** True if no file has this name and no file that had it is still followed. */
  get gone(): boolean {
    return this.#missing && !this.isOpen;
  }

  /** True if a file that has the name, or had it, is followed. */
  get isOpen(): boolean {
    return this.#current !== undefined || this.#old.length > 0;
  }

  /** Bytes delivered from all files that had the name and are still followed. */
  get bytesRead(): number {
    return this.#all().reduce((sum, { follower }) => sum + follower.bytesRead, 0);
  }

  get lastActiveMs(): number {
    return Math.max(this.#current?.follower.activeMs ?? 0, ...this.#old.map(({ follower }) => follower.activeMs));
  }

  /** Bytes that were requested and will be delivered later. */
  get pendingBytes(): number {
    return this.#all().reduce((sum, { follower }) => sum + follower.pendingBytes, 0);
  }

  /** True if there are bytes that were not delivered yet. */
  get busy(): boolean {
    return this.#all().some(({ follower }) => follower.busy);
  }

  /** @throws AgentError if the file exists but cannot be read */
  poll(nowMs: number, deadlineMs: number): void {
    // Old files first: their content is older.
    for (const { follower } of this.#old) follower.poll(nowMs, deadlineMs);
    this.#current?.follower.poll(nowMs, deadlineMs);
    this.#checkName(nowMs, deadlineMs);
    this.#closeIdle(nowMs);
  }

  close(): void {
    for (const file of this.#all()) this.#close(file);
    this.#old = [];
    this.#current = undefined;
  }

  #all(): OpenFile[] {
    return this.#current === undefined ? this.#old : [...this.#old, this.#current];
  }

  /** Switches to the file that has the name now, if it is another one. */
  #checkName(nowMs: number, deadlineMs: number): void {
    const stat = lstatSync(this.path, { throwIfNoEntry: false });
    this.#missing = stat === undefined;
    if (stat === undefined) {
      this.#fromEnd = false;
      this.#retireCurrent();
      return;
    }
    const id = idOf(stat);
    if (id === this.#current?.id) return;
    if (id === this.#followedElsewhere) {
      if (this.#options.openFiles.has(id)) return;
      // The other name is gone, and what the file had then was read.
      this.#fromEnd = true;
    }
    const returned = this.#old.find((file) => file.id === id);
    // Rotation gave this name to a file that is already followed under another name.
    this.#followedElsewhere = returned === undefined && this.#options.openFiles.has(id) ? id : '';
    if (this.#followedElsewhere !== '') return;
    this.#retireCurrent();
    if (returned === undefined) this.#current = this.#open(nowMs);
    else {
      this.#old = this.#old.filter((file) => file !== returned);
      this.#current = returned;
    }
    this.#current?.follower.poll(nowMs, deadlineMs);
  }

  #retireCurrent(): void {
    if (this.#current === undefined) return;
    this.#old.push(this.#current);
    this.#current = undefined;
  }

  #open(nowMs: number): OpenFile | undefined {
    const { folder, openFiles } = this.#options;
    let fd: number;
    try {
      fd = openRegularFile(folder, relative(folder, this.path).split('/'));
    } catch (error) {
      if (isGone(error)) return undefined;
      if (error instanceof AgentError) throw error;
      throw fileError(this.path, error);
    }
    let file: OpenFile;
    try {
      const stat = fstatSync(fd);
      this.#requireAllowed(stat);
      file = { fd, id: idOf(stat), uid: stat.uid, follower: this.#options.follow(fd, this.#fromEnd, nowMs) };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#fromEnd = false;
    openFiles.add(file);
    return file;
  }

  #requireAllowed({ uid, nlink, mode }: Stats): void {
    const { openFiles } = this.#options;
    if (!openFiles.hasRoomFor(uid))
      throw new AgentError(
        `${this.path}: ${openFiles.max} such files may be open, one user's at most half of them; raise the limit with ulimit -n`,
      );
    if ((mode & 0o002) !== 0) throw new AgentError(`${this.path}: every user may write to it; chmod o-w ends that`);
    // Any user who can write to the folder may have linked it there.
    if (nlink > 1 && isSharedFolder(dirname(this.path)))
      throw new AgentError(`${this.path}: has several names, in a folder that other users may write to`);
  }

  #closeIdle(nowMs: number): void {
    if (this.#old.length === 0) return;
    const hasSuccessor = this.#current !== undefined && fstatSync(this.#current.fd).size > 0;
    const limitMs = hasSuccessor || this.#missing ? IDLE_MS : IDLE_WITHOUT_SUCCESSOR_MS;
    const idle = this.#old.filter(({ follower }) => !follower.busy && nowMs - follower.activeMs > limitMs);
    const tooMany = this.#old.slice(0, Math.max(0, this.#old.length - MAX_OLD));
    for (const file of new Set([...idle, ...tooMany])) {
      this.#close(file);
      this.#old = this.#old.filter((other) => other !== file);
    }
  }

  #close(file: OpenFile): void {
    file.follower.close();
    closeSync(file.fd);
    this.#options.openFiles.delete(file);
  }
}

function idOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`;
}
