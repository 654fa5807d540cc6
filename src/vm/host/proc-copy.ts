/**
 * Saves what /proc says of some processes and their threads (HOST), in the form that the inventory reads as `procfs`.
 *
 * A thread is saved when it is first seen, and again for {@link NEW_MS}: threads get their names a moment after they
 * start. What has vanished stays as it was saved.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from '../../system/errors.js';
import { parseStat, threadIds } from './proc.js';

const PROCESS_FILES = ['cmdline', 'comm', 'cgroup', 'stat', 'status'];
const THREAD_FILES = ['comm', 'cgroup', 'stat', 'status'];
/** For so long a thread is new. */
export const NEW_MS = 500;

interface Copied {
  readonly startTime: number;
  readonly firstMs: number;
}

export class ProcCopy {
  readonly #root: string;
  readonly #target: string;
  /** By folder below the root. */
  readonly #copied = new Map<string, Copied>();

  constructor(root: string, target: string) {
    this.#root = root;
    this.#target = target;
  }

  /**
   * @param nowMs of performance.now()
   * @throws AgentError where the copy can't be written
   */
  update(pids: readonly number[], nowMs: number): void {
    for (const pid of pids) {
      this.#copy(String(pid), PROCESS_FILES, nowMs);
      for (const tid of threadIds(this.#root, pid) ?? [])
        this.#copy(join(String(pid), 'task', String(tid)), THREAD_FILES, nowMs);
    }
  }

  #copy(folder: string, files: readonly string[], nowMs: number): void {
    const before = this.#copied.get(folder);
    if (before !== undefined && nowMs - before.firstMs > NEW_MS) return;
    const contents = new Map(files.map((file) => [file, read(join(this.#root, folder, file))]));
    const startTime = parseStat(contents.get('stat')?.toString('utf8'))?.startTime;
    // It has just ended, or its id means another by now: what was saved before stands.
    if (startTime === undefined || (before !== undefined && before.startTime !== startTime)) return;
    // A zombie has no command line any more.
    if (before !== undefined && contents.get('cmdline')?.length === 0) return;
    const target = join(this.#target, folder);
    try {
      mkdirSync(target, { recursive: true });
      for (const [file, content] of contents) if (content !== undefined) writeFileSync(join(target, file), content);
    } catch (error) {
      throw fileError(target, error);
    }
    if (before === undefined) this.#copied.set(folder, { startTime, firstMs: nowMs });
  }
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
