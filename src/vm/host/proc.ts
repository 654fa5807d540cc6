/**
 * Reads what /proc says about processes and threads (HOST), also in a saved copy of it.
 *
 * Every file is read whole and once. Processes vanish at any time, so "not there", "no longer there" and "not
 * permitted" are all `undefined`, never an error. Only what can't be read for want of file descriptors is one
 * (AgentError): it must not pass for a process that is gone. `/proc/PID/stat` (Documentation/filesystems/proc.rst,
 * table 1-4) is one line:
 *
 *   7520 (CPU 0/KVM) S 7510 7504 3387 0 -1 138412352 … 257366 …
 *
 * The name may hold blanks and brackets: fields are counted from the LAST `)`. Used: state (3), parent (4), flags (9),
 * start time in clock ticks since boot (22). A saved copy has only `/proc/PID/task/TID` of a thread, a live /proc also
 * answers `/proc/TID`.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileError, isOutOfFiles } from '../../system/errors.js';

export interface Stat {
  readonly comm: string;
  /** The process has ended and waits for its parent. */
  readonly dead: boolean;
  /** Id of the parent process. */
  readonly parent: number;
  /** A thread of the kernel itself. */
  readonly kernel: boolean;
  readonly startTime: number;
}

export interface Process extends Stat {
  readonly pid: number;
  readonly args: readonly string[];
  /** Text of its cgroup file, '' where there is none. */
  readonly cgroup: string;
  /** Its ids from our pid namespace inwards (`NSpid`); only `[pid]` where the kernel does not tell. */
  readonly nsPids: readonly number[];
}

export interface Task extends Stat {
  readonly tid: number;
  readonly cgroup: string;
}

const PF_KTHREAD = 0x0020_0000;
const STATE = 0;
const PARENT = 1;
const FLAGS = 6;
const START_TIME = 19;

/** Ids of all processes, undefined where `root` can't be read. */
export function processIds(root: string): number[] | undefined {
  return numbersIn(root);
}

/** The last id that was given to a process or thread. Asked at each tick, so its file stays open. */
export class LatestId {
  readonly #path: string;
  #file: number | undefined;

  constructor(root: string) {
    this.#path = `${root}/loadavg`;
  }

  /** Undefined where nothing tells. */
  read(): number | undefined {
    try {
      this.#file ??= openSync(this.#path, 'r');
      const text = small.toString('latin1', 0, readSync(this.#file, small, 0, small.length, 0)).trimEnd();
      const id = Number(text.slice(text.lastIndexOf(' ') + 1) || Number.NaN);
      return Number.isNaN(id) ? undefined : id;
    } catch (error) {
      return notThere(error);
    }
  }
}

/** Ids of a process' threads. */
export function threadIds(root: string, pid: number): number[] | undefined {
  return numbersIn(join(root, String(pid), 'task'));
}

export function readStat(root: string, pid: number): Stat | undefined {
  return parseStat(readSmall(`${root}/${pid}/stat`));
}

export function readThreadStat(root: string, pid: number, tid: number): Stat | undefined {
  return parseStat(readSmall(`${root}/${pid}/task/${tid}/stat`));
}

export function readArgs(root: string, pid: number): string[] {
  return argsOf(read(join(root, String(pid), 'cmdline')) ?? '');
}

/** `stat` is what {@link readStat} has just said, to save a read. */
export function readProcess(root: string, pid: number, stat = readStat(root, pid)): Process | undefined {
  if (stat === undefined) return undefined;
  const args = readArgs(root, pid);
  const cgroup = read(join(root, String(pid), 'cgroup')) ?? '';
  const nsPids = nsPidsOf(read(join(root, String(pid), 'status')));
  // The id may have gone to another process meanwhile, or the process become another program.
  const again = readStat(root, pid);
  if (again === undefined || again.startTime !== stat.startTime || again.comm !== stat.comm) return undefined;
  return { ...again, pid, args, cgroup, nsPids: nsPids.length === 0 ? [pid] : nsPids };
}

/** All threads of a process that are still there, each with its own cgroup. */
export function threadsOf(root: string, pid: number): Task[] | undefined {
  const tids = threadIds(root, pid);
  return tids?.flatMap((tid) => {
    const stat = readThreadStat(root, pid, tid);
    return stat === undefined ? [] : [{ ...stat, tid, cgroup: readThreadCgroup(root, pid, tid) }];
  });
}

export function readThreadCgroup(root: string, pid: number, tid: number): string {
  return read(join(root, String(pid), 'task', String(tid), 'cgroup')) ?? '';
}

/** The id that the thread has for itself: the last number of `NSpid`. */
export function innermostTid(root: string, pid: number, tid: number): number {
  return nsPidsOf(read(join(root, String(pid), 'task', String(tid), 'status'))).at(-1) ?? tid;
}

/** The process that a thread belongs to. In a saved copy it answers for main threads only. */
export function tgidOf(root: string, tid: number): number | undefined {
  const match = /^Tgid:\s*(\d+)$/m.exec(readSmall(`${root}/${tid}/status`) ?? '');
  return match === null ? undefined : Number(match[1]);
}

export function parseStat(text: string | undefined): Stat | undefined {
  if (text === undefined) return undefined;
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ', START_TIME + 1);
  const startTime = Number(fields[START_TIME]);
  if (open < 0 || close < open || fields.length <= START_TIME || !(startTime >= 0)) return undefined;
  return {
    comm: text.slice(open + 1, close),
    dead: /^[ZXx]$/.test(fields[STATE] ?? ''),
    parent: Number(fields[PARENT]),
    kernel: (Number(fields[FLAGS]) & PF_KTHREAD) !== 0,
    startTime,
  };
}

/** Arguments end with NUL each; some programs overwrite theirs and leave the end open. */
function argsOf(cmdline: string): string[] {
  if (cmdline === '') return [];
  return (cmdline.endsWith('\0') ? cmdline.slice(0, -1) : cmdline).split('\0');
}

function nsPidsOf(status: string | undefined): number[] {
  const numbers = /^NSpid:\s*([\d\s]+?)$/m.exec(status ?? '')?.[1];
  return numbers === undefined ? [] : numbers.trim().split(/\s+/).map(Number);
}

function numbersIn(folder: string): number[] | undefined {
  try {
    return readdirSync(folder).flatMap((name) => (/^[1-9]\d*$/.test(name) ? [Number(name)] : []));
  } catch (error) {
    return notThere(error);
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return notThere(error);
  }
}

function notThere(error: unknown): undefined {
  // The same words for each of thousands of files.
  if (isOutOfFiles(error)) throw fileError('files of processes', error);
  return undefined;
}

const small = Buffer.allocUnsafe(4096);

/** As {@link read}, for the first lines of a file: a third of its cost, and scans read them thousands of times. */
function readSmall(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    return small.toString('utf8', 0, readSync(file, small, 0, small.length, 0));
  } catch (error) {
    return notThere(error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
