import { AgentError, fileError } from '../../system/errors.js';
import { openFileLimit } from '../../system/open-file-limit.js';
import type { FileFollower } from './file-follower.js';
import { expandGlob, fixedFolder } from './glob.js';
import { type OpenFile, RotatingFile } from './rotating-file.js';

export interface PatternFollowerOptions {
  readonly patterns: readonly string[];
  readonly follow: (path: string, fd: number, fromEnd: boolean, nowMs: number) => FileFollower;
  /** Called once for each file or folder that cannot be read. */
  readonly onProblem: (message: string) => void;
  readonly onNew?: (path: string) => void;
  /** Called when a file is gone and has been read completely. */
  readonly onGone?: (path: string) => void;
}

/**
 * Interval between polls of a file under load. Short, because bytes written between a poll and a truncation are lost.
 */
const BUSY_INTERVAL_MS = 10;
/** A file that grew by more than this since its last poll is under load. */
const BUSY_BYTES = 8192;
const ACTIVE_INTERVAL_MS = 50;
/** The interval for an idle file doubles up to this. */
const MAX_INTERVAL_MS = 400;
/** More than the descriptors that a process may have by default. */
const MAX_FILES = 10_000;
const MAX_REPORTED = 1000;

interface Followed {
  readonly file: RotatingFile;
  intervalMs: number;
  dueMs: number;
  bytesRead: number;
  problem: string | undefined;
}

/**
 * Follows all files that match some patterns, while files come and go.
 *
 * Files that exist at the start are followed from their end, later ones from their beginning. A file that rotation
 * renamed (`vm.log.1`, `vm.log-20261123.gz`) is not a new file, even if a pattern matches it.
 */
export class PatternFollower {
  readonly #options: PatternFollowerOptions;
  readonly #files = new Map<string, Followed>();
  readonly #openFiles = new Map<string, OpenFile>();
  readonly #reported = new Set<string>();
  /** Number of folders that could not be listed at the last scan. */
  #unlisted = 0;
  #scans = 0;
  /** An eighth of the descriptors, as logs and simple traces are followed separately. */
  readonly #maxOpen = Math.min(MAX_FILES, Math.floor(openFileLimit() / 8));

  constructor(options: PatternFollowerOptions) {
    this.#options = options;
  }

  /** True if at least one file is followed and none that exists fails. */
  get up(): boolean {
    const files = [...this.#files.values()];
    return (
      this.#unlisted === 0 &&
      files.some(({ file }) => file.id !== undefined) &&
      files.every(({ problem }) => problem === undefined)
    );
  }

  /** `device:inode` by path, of the files that are followed. */
  ids(): Map<string, string> {
    const ids = new Map<string, string>();
    for (const [path, { file }] of this.#files) if (file.id !== undefined) ids.set(path, file.id);
    return ids;
  }

  /** Looks for files that have appeared or disappeared. */
  scan(nowMs: number): void {
    const first = this.#scans++ === 0;
    this.#unlisted = 0;
    const folders = new Map(
      this.#options.patterns.flatMap((pattern) => {
        const folder = fixedFolder(pattern);
        return expandGlob(pattern, this.#cannotList).map((path) => [path, folder] as const);
      }),
    );
    const paths = new Set(folders.keys());
    for (const [path, folder] of folders) {
      if (this.#files.has(path) || this.#files.size >= MAX_FILES || this.#isRotated(path, paths)) continue;
      const file = new RotatingFile({
        path,
        folder,
        maxOpen: this.#maxOpen,
        fromEnd: first,
        openFiles: this.#openFiles,
        follow: (fd, fromEnd, ms) => this.#options.follow(path, fd, fromEnd, ms),
      });
      const followed = { file, intervalMs: ACTIVE_INTERVAL_MS, dueMs: nowMs, bytesRead: 0, problem: undefined };
      this.#poll(followed, nowMs, nowMs);
      // A path without wildcards is in `paths` even if it does not exist.
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

  /** Polls the files that are due. Returns when the next one is due. */
  poll(nowMs: number, deadlineMs: number): number {
    let nextMs = nowMs + MAX_INTERVAL_MS;
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
      this.#report(problem.message);
    }
    const { bytesRead } = file;
    const newBytes = bytesRead - followed.bytesRead;
    followed.bytesRead = bytesRead;
    if (newBytes > BUSY_BYTES) followed.intervalMs = BUSY_INTERVAL_MS;
    else if (nowMs - file.lastActiveMs < MAX_INTERVAL_MS) followed.intervalMs = ACTIVE_INTERVAL_MS;
    else followed.intervalMs = Math.min(MAX_INTERVAL_MS, followed.intervalMs * 2);
    followed.dueMs = nowMs + followed.intervalMs;
  }

  readonly #cannotList = (path: string, error: unknown): void => {
    this.#unlisted++;
    this.#report(fileError(path, error).message);
  };

  /** True for `vm.log.1` and `vm.log-20261123` if `vm.log` is followed too, and for any packed file. */
  #isRotated(path: string, paths: ReadonlySet<string>): boolean {
    if (/\.(gz|xz|zst|bz2)$/.test(path)) return true;
    const original = path.replace(/(\.\d+|-\d{8}(-\d+)?)$/, '');
    return original !== path && (paths.has(original) || this.#files.has(original));
  }

  #report(message: string): void {
    if (this.#reported.has(message)) return;
    if (this.#reported.size > MAX_REPORTED) this.#reported.clear();
    this.#reported.add(message);
    this.#options.onProblem(message);
  }
}
