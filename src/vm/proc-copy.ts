/**
 * Saves what /proc says of some processes and their threads (HOST), in the form that the inventory reads as `procfs`.
 *
 * A thread is saved when it is first seen, and once more by the next update: threads get their names a moment after they
 * start. What has vanished stays as it was saved.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from '../agent-error.js';
import { parseStat, threadIds } from './proc.js';

const PROCESS_FILES = ['cmdline', 'comm', 'cgroup', 'stat', 'status'];
const THREAD_FILES = ['comm', 'cgroup', 'stat', 'status'];
const COPIES = 2;

interface Copied {
  readonly startTime: number;
  times: number;
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

  /** @throws AgentError where the copy can't be written */
  update(pids: readonly number[]): void {
    for (const pid of pids) {
      this.#copy(String(pid), PROCESS_FILES);
      for (const tid of threadIds(this.#root, pid) ?? [])
        this.#copy(join(String(pid), 'task', String(tid)), THREAD_FILES);
    }
  }

  #copy(folder: string, files: readonly string[]): void {
    const before = this.#copied.get(folder);
    if (before !== undefined && before.times >= COPIES) return;
    const contents = files.map((file) => [file, read(join(this.#root, folder, file))] as const);
    const startTime = parseStat(new Map(contents).get('stat')?.toString('utf8'))?.startTime;
    // It has just ended, or its id means another by now: what was saved before stands.
    if (startTime === undefined || (before !== undefined && before.startTime !== startTime)) return;
    const target = join(this.#target, folder);
    try {
      mkdirSync(target, { recursive: true });
      for (const [file, content] of contents) if (content !== undefined) writeFileSync(join(target, file), content);
    } catch (error) {
      throw fileError(target, error);
    }
    if (before === undefined) this.#copied.set(folder, { startTime, times: 1 });
    else before.times++;
  }
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
