import { AgentError, fileError } from '../../system/errors.js';
import type { FileFollower } from './file-follower.js';
import { expandGlob, fixedFolder } from './glob.js';
import { OpenFiles } from './open-files.js';
import { RotatingFile } from './rotating-file.js';

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
/** Longest time of one file before the next one has its turn. */
const TURN_MS = 5;
/** Bytes that all files together have requested: 50 MB/s, half of a CPU. */
const MAX_PENDING_BYTES = 1 << 19;
/** Longest time of opening new files in one scan. */
const OPENING_MS = 50;
/** Files by which the start of a scan moves: a prime number. */
const STRIDE = 769;
/** Pause before a path that cannot be followed is tried again; it doubles up to the second. */
const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;
/** Paths that are remembered because they cannot be followed. */
const MAX_UNFOLLOWED = 20_000;
const MAX_REPORTED = 1000;

/** A path that cannot be followed now. */
interface Unfollowed {
  readonly fromEnd: boolean;
  readonly retryMs: number;
  readonly pauseMs: number;
}

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
  readonly #openFiles = new OpenFiles();
  readonly #reported = new Set<string>();
  readonly #unfollowed = new Map<string, Unfollowed>();
  /** Number of folders that could not be listed at the last scan. */
  #unlisted = 0;
  #scans = 0;

  constructor(options: PatternFollowerOptions) {
    this.#options = options;
  }

  /** True if at least one file is followed and none that exists fails. */
  get up(): boolean {
    const files = [...this.#files.values()];
    return (
      this.#unlisted === 0 &&
      this.#unfollowed.size === 0 &&
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
    for (const path of this.#unfollowed.keys()) if (!paths.has(path)) this.#unfollowed.delete(path);
    const unopened = [...folders].filter(([path]) => !this.#files.has(path) && !this.#isRotated(path, paths));
    const isNew = ([path]: readonly [string, string]) => !this.#unfollowed.has(path);
    const retried = unopened.filter(([path]) => (this.#unfollowed.get(path)?.retryMs ?? Infinity) <= nowMs);
    const fresh = unopened.filter(isNew);
    // Not `nowMs`: the caller may have worked for long since.
    const startMs = performance.now();
    // Each scan begins elsewhere, so that files which appear without end do not keep other files waiting.
    const start = first ? 0 : (this.#scans * STRIDE) % Math.max(1, fresh.length);
    for (const [path, folder] of [...fresh.slice(start), ...fresh.slice(0, start), ...retried]) {
      // The next scan opens the rest.
      if (!first && performance.now() > startMs + OPENING_MS) break;
      this.#open(path, folder, this.#unfollowed.get(path)?.fromEnd ?? first, nowMs);
    }
    for (const [path, { file, problem }] of this.#files) {
      if (file.isOpen || (!file.gone && problem === undefined)) continue;
      this.#files.delete(path);
      this.#options.onGone?.(path);
    }
  }

  /**
   * Polls the files that are due, those that wait longest first, until the time is up or enough is being read. Returns
   * when the next one is due.
   */
  poll(nowMs: number, deadlineMs: number): number {
    const files = [...this.#files.values()];
    let pending = files.reduce((sum, { file }) => sum + file.pendingBytes, 0);
    for (const followed of files.filter(({ dueMs }) => dueMs <= nowMs).sort((a, b) => a.dueMs - b.dueMs)) {
      const startMs = performance.now();
      if (startMs > deadlineMs) break;
      const before = followed.file.pendingBytes;
      if (before === 0 && pending >= MAX_PENDING_BYTES) continue;
      this.#poll(followed, nowMs, Math.min(deadlineMs, startMs + TURN_MS));
      pending += followed.file.pendingBytes - before;
    }
    const nextMs = files.reduce((soonest, { dueMs }) => Math.min(soonest, dueMs), nowMs + MAX_INTERVAL_MS);
    return Math.max(nextMs, nowMs + BUSY_INTERVAL_MS);
  }

  close(): void {
    for (const { file } of this.#files.values()) file.close();
    this.#files.clear();
  }

  #open(path: string, folder: string, fromEnd: boolean, nowMs: number): void {
    const { max, isFull } = this.#openFiles;
    if (isFull || this.#files.size >= 2 * max) {
      this.#report(`${max} such files are open already, and ${path} is not; raise the limit with ulimit -n`);
      return this.#postpone(path, fromEnd, nowMs);
    }
    const file = new RotatingFile({
      path,
      folder,
      fromEnd,
      openFiles: this.#openFiles,
      follow: (fd, isFromEnd, ms) => this.#options.follow(path, fd, isFromEnd, ms),
    });
    const followed = { file, intervalMs: ACTIVE_INTERVAL_MS, dueMs: nowMs, bytesRead: 0, problem: undefined };
    this.#poll(followed, nowMs, nowMs);
    if (followed.problem !== undefined && !file.isOpen) return this.#postpone(path, fromEnd, nowMs);
    this.#unfollowed.delete(path);
    // A path without wildcards is among the paths even if it does not exist.
    if (file.gone) return;
    this.#files.set(path, followed);
    this.#options.onNew?.(path);
  }

  #postpone(path: string, fromEnd: boolean, nowMs: number): void {
    const pauseMs = Math.min(MAX_RETRY_MS, (this.#unfollowed.get(path)?.pauseMs ?? MIN_RETRY_MS / 2) * 2);
    if (this.#unfollowed.has(path) || this.#unfollowed.size < MAX_UNFOLLOWED)
      this.#unfollowed.set(path, { fromEnd, pauseMs, retryMs: nowMs + pauseMs });
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
    if (newBytes > BUSY_BYTES || file.busy) followed.intervalMs = BUSY_INTERVAL_MS;
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
