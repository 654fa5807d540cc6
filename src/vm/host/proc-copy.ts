import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from '../../system/errors.js';
import { tryReadBytes } from '../../system/files.js';
import { parseStat, threadIds } from './proc.js';

const PROCESS_FILES = ['cmdline', 'comm', 'cgroup', 'stat', 'status'];
const THREAD_FILES = ['comm', 'cgroup', 'stat', 'status'];
/** How long a thread is saved again after it was first seen: threads get their names a moment after they start. */
export const NEW_MS = 500;

interface Saved {
  readonly startTime: number;
  readonly firstMs: number;
}

/**
 * Saves what /proc says about some processes and their threads (HOST), in the form that the inventory reads as
 * `procfs`. What was saved of a process stays when the process ends.
 */
export class ProcCopy {
  readonly #root: string;
  readonly #target: string;
  /** Path below the root of each saved folder -> what was saved. */
  readonly #saved = new Map<string, Saved>();

  constructor(procfs: string, target: string) {
    this.#root = procfs;
    this.#target = target;
  }

  /**
   * @param nowMs of performance.now()
   * @throws AgentError if the copy cannot be written
   */
  update(pids: readonly number[], nowMs: number): void {
    for (const pid of pids) {
      this.#save(String(pid), PROCESS_FILES, nowMs);
      for (const tid of threadIds(this.#root, pid) ?? [])
        this.#save(join(String(pid), 'task', String(tid)), THREAD_FILES, nowMs);
    }
  }

  #save(folder: string, files: readonly string[], nowMs: number): void {
    const before = this.#saved.get(folder);
    if (before !== undefined && nowMs - before.firstMs > NEW_MS) return;
    const contents = new Map(files.map((file) => [file, tryReadBytes(join(this.#root, folder, file))]));
    const startTime = parseStat(contents.get('stat')?.toString('utf8'))?.startTime;
    // If the process has ended, or its id belongs to another process by now, what was saved before is right.
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
    if (before === undefined) this.#saved.set(folder, { startTime, firstMs: nowMs });
  }
}
