/**
 * All files that some patterns name, followed while they come and go.
 *
 * Files that are there at the start are read from their end, new ones from their beginning. What rotation makes of a
 * file (`vm.log.1`, `vm.log-20261123.gz`) is not a new file, though the pattern may name it.
 */
import { AgentError, fileError } from '../../system/errors.js';
import type { InodeReader } from './followed-file.js';
import { expandGlob } from './glob.js';
import { type OpenFile, RotatingFile } from './rotating-file.js';

export interface FollowFilesOptions {
  readonly patterns: readonly string[];
  readonly read: (path: string, fd: number, fromEnd: boolean, nowMs: number) => InodeReader;
  /** Told once of each thing that can't be read. */
  readonly onProblem: (message: string) => void;
  readonly onNew?: (path: string) => void;
  /** Nothing of it is left to read. */
  readonly onGone?: (path: string) => void;
}

/** Where much is written: what is written between a look and a truncation is lost. */
const BUSY_MS = 10;
const BUSY_BYTES = 8192;
/** A file in which nothing happens is looked at ever more seldom. */
const ACTIVE_MS = 50;
const SLOWEST_MS = 400;
/** More files than descriptors that one may have by default. */
const MAX_FILES = 10_000;

interface Followed {
  readonly file: RotatingFile;
  intervalMs: number;
  dueMs: number;
  bytesRead: number;
  problem: string | undefined;
}

export class FollowFiles {
  readonly #options: FollowFilesOptions;
  readonly #files = new Map<string, Followed>();
  readonly #known = new Map<string, OpenFile>();
  readonly #told = new Set<string>();
  /** Places that could not be listed at the last scan. */
  #unlisted = 0;
  #scans = 0;

  constructor(options: FollowFilesOptions) {
    this.#options = options;
  }

  /** At least one file is read, and nothing that is there can't be. */
  get up(): boolean {
    const files = [...this.#files.values()];
    return (
      this.#unlisted === 0 &&
      files.some(({ file }) => file.id !== undefined) &&
      files.every(({ problem }) => problem === undefined)
    );
  }

  /** Path -> device and inode, of the files that are read. */
  ids(): Map<string, string> {
    const ids = new Map<string, string>();
    for (const [path, { file }] of this.#files) if (file.id !== undefined) ids.set(path, file.id);
    return ids;
  }

  /** Looks for files that have come or gone. */
  scan(nowMs: number): void {
    const first = this.#scans++ === 0;
    this.#unlisted = 0;
    const paths = new Set(this.#options.patterns.flatMap((pattern) => expandGlob(pattern, this.#cannotList)));
    for (const path of paths) {
      if (this.#files.has(path) || this.#files.size >= MAX_FILES || this.#isRotated(path, paths)) continue;
      const { read } = this.#options;
      const file = new RotatingFile({
        path,
        fromEnd: first,
        known: this.#known,
        read: (fd, end, ms) => read(path, fd, end, ms),
      });
      const followed = { file, intervalMs: ACTIVE_MS, dueMs: nowMs, bytesRead: 0, problem: undefined };
      this.#poll(followed, nowMs, nowMs);
      // A path without a pattern is named, there or not.
      if (file.gone) continue;
      this.#files.set(path, followed);
      this.#options.onNew?.(path);
    }
    for (const [path, { file }] of this.#files) {
      if (!file.gone) continue;
      this.#files.delete(path);
      this.#options.onGone?.(path);
    }
  }

  /** Reads what is new in the files whose turn it is. Returns when the next one's turn is. */
  poll(nowMs: number, deadlineMs: number): number {
    let nextMs = nowMs + SLOWEST_MS;
    for (const followed of this.#files.values()) {
      if (followed.dueMs <= nowMs) this.#poll(followed, nowMs, deadlineMs);
      nextMs = Math.min(nextMs, followed.dueMs);
    }
    return nextMs;
  }

  close(): void {
    for (const { file } of this.#files.values()) file.close();
    this.#files.clear();
  }

  #poll(followed: Followed, nowMs: number, deadlineMs: number): void {
    const { file } = followed;
    try {
      file.poll(nowMs, deadlineMs);
      followed.problem = undefined;
    } catch (error) {
      const problem = error instanceof AgentError ? error : fileError(file.path, error);
      followed.problem = problem.message;
      this.#tell(problem.message);
    }
    const { bytesRead } = file;
    const news = bytesRead - followed.bytesRead;
    followed.bytesRead = bytesRead;
    if (news > BUSY_BYTES) followed.intervalMs = BUSY_MS;
    else if (nowMs - file.lastActiveMs < SLOWEST_MS) followed.intervalMs = ACTIVE_MS;
    else followed.intervalMs = Math.min(SLOWEST_MS, followed.intervalMs * 2);
    followed.dueMs = nowMs + followed.intervalMs;
  }

  readonly #cannotList = (path: string, error: unknown): void => {
    this.#unlisted++;
    this.#tell(fileError(path, error).message);
  };

  /** `vm.log.1`, `vm.log-20261123`, where `vm.log` is followed too; and whatever is packed. */
  #isRotated(path: string, paths: ReadonlySet<string>): boolean {
    if (/\.(gz|xz|zst|bz2)$/.test(path)) return true;
    const original = path.replace(/(\.\d+|-\d{8}(-\d+)?)$/, '');
    return original !== path && (paths.has(original) || this.#files.has(original));
  }

  #tell(message: string): void {
    if (this.#told.has(message)) return;
    if (this.#told.size > 1000) this.#told.clear();
    this.#told.add(message);
    this.#options.onProblem(message);
  }
}
