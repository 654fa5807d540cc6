/**
 * Reads what /proc says about processes and threads (HOST), live or from a saved copy.
 *
 * Every file is read whole and once. Processes vanish at any time, so a file that is missing, or that this user must
 * not read, gives `undefined`, never an error. Only running out of file descriptors is an AgentError: it must not be
 * taken for a process that has ended.
 *
 * `/proc/PID/stat` (Documentation/filesystems/proc.rst, table 1-4) is one line:
 *
 *   7520 (CPU 0/KVM) S 7510 7504 3387 0 -1 138412352 … 257366 …
 *
 * The name may hold blanks and brackets, so fields are counted from the LAST `)`. Used are state (3), parent (4),
 * flags (9) and the start time in clock ticks since boot (22).
 *
 * A live /proc answers for a thread under `/proc/TID` and `/proc/PID/task/TID`, a saved copy only under the latter.
 */
import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileError, isOutOfFiles } from '../../system/errors.js';

export interface Stat {
  readonly comm: string;
  /** True for a thread that is ending, or has ended and waits for its parent. */
  readonly isEnding: boolean;
  /** Process id of the parent. */
  readonly parent: number;
  /** True for a thread of the kernel. */
  readonly kernel: boolean;
  /** Clock ticks since boot. */
  readonly startTime: number;
}

export interface Process extends Stat {
  readonly pid: number;
  /** Start of the process in seconds since 1970; NaN if it is not known. */
  readonly startSeconds: number;
  /** The user that the process runs as; -1 if it is not known. */
  readonly uid: number;
  readonly args: readonly string[];
  /** Text of the cgroup file; '' if there is none. */
  readonly cgroup: string;
}

const PF_KTHREAD = 0x0020_0000;
const PF_EXITING = 0x0000_0004;
// Positions of fields after the name.
const STATE = 0;
const PARENT = 1;
const FLAGS = 6;
const START_TIME = 19;

/** Ids of all processes; undefined if `root` cannot be read. */
export function processIds(root: string): number[] | undefined {
  return numbersIn(root);
}

/** The last id that the kernel gave to a process or thread. Read at each tick, so the file stays open. */
export class LatestId {
  readonly #path: string;
  #file: number | undefined;

  constructor(root: string) {
    this.#path = `${root}/loadavg`;
  }

  /** Undefined if /proc does not tell, as in a saved copy. */
  read(): number | undefined {
    try {
      this.#file ??= openSync(this.#path, 'r');
      const text = buffer.toString('latin1', 0, readSync(this.#file, buffer, 0, buffer.length, 0)).trimEnd();
      const id = Number(text.slice(text.lastIndexOf(' ') + 1) || Number.NaN);
      return Number.isNaN(id) ? undefined : id;
    } catch (error) {
      return undefinedUnlessOutOfFiles(error);
    }
  }
}

/**
 * True if this process has the same id in `/proc` as it has itself. Otherwise `loadavg` has the latest id of another
 * namespace than the folder: the reader's (loadavg_proc_show, fs/proc/loadavg.c).
 */
export function sharesPidNamespace(root: string): boolean {
  return /^NSpid:\s*\d+$/m.test(readStart(`${root}/self/status`) ?? '');
}

/** Clock ticks in a second: USER_HZ, which is 100 wherever Node.js runs. */
const TICKS_PER_SECOND = 100;
/** Milliseconds of a clock tick, by which start times are rounded down. */
export const MS_PER_TICK = 1000 / TICKS_PER_SECOND;
/** How much earlier a thread may have started than {@link bootMs} and its start time together say. */
export const START_ERROR_MS = MS_PER_TICK;

/** A boot time that is so much earlier than before is no error of reading: the host was suspended. */
const MIN_SUSPENSION_MS = 1000;

/**
 * Start of the host on the caller's clock, in milliseconds, up to 10 ms late; NaN if /proc does not tell. `uptime` is
 * rounded down to 10 ms, and is read after `nowMs`, on a busy host long after it. So the latest of several answers is
 * the best one.
 * @param before the best answer so far; NaN if there is none
 */
export function bootMs(root: string, nowMs: number, before: number): number {
  const uptime = Number(/^\d+\.\d\d/.exec(readStart(`${root}/uptime`) ?? '')?.[0] ?? Number.NaN);
  const now = nowMs - uptime * 1000;
  return Number.isNaN(now) || (now <= before && before - now < MIN_SUSPENSION_MS) ? before : now;
}

/** `stat` has a line for each CPU, and a number for each interrupt, before the start of the host. */
const MAX_STAT = 1 << 20;

/** Start of the host in seconds since 1970; NaN if /proc does not tell, as in a saved copy. */
function bootSeconds(root: string): number {
  return Number(/^btime (\d+)$/m.exec(readStart(`${root}/stat`, MAX_STAT) ?? '')?.[1] ?? Number.NaN);
}

/** Ids of the threads of a process. */
export function threadIds(root: string, pid: number): number[] | undefined {
  return numbersIn(join(root, String(pid), 'task'));
}

export function readStat(root: string, pid: number): Stat | undefined {
  return parseStat(readStart(`${root}/${pid}/stat`));
}

export function readThreadStat(root: string, pid: number, tid: number): Stat | undefined {
  return parseStat(readStart(`${root}/${pid}/task/${tid}/stat`));
}

/** Anyone can start processes with megabytes of arguments. QEMU's longest command lines have some 30 KB. */
const MAX_CMDLINE = 1 << 18;

/** Up to a dozen paths. */
const MAX_CGROUP = 1 << 16;

/** The arguments of a process, those beyond {@link MAX_CMDLINE} bytes left out. */
export function readArgs(root: string, pid: number): string[] {
  return argsOf(readStart(`${root}/${pid}/cmdline`, MAX_CMDLINE) ?? '');
}

/** The first arguments of a process, read in a third of the time. */
export function readFirstArgs(root: string, pid: number): string[] {
  return argsOf(readStart(`${root}/${pid}/cmdline`) ?? '');
}

/** @param stat what {@link readStat} has just returned, to save a read */
export function readProcess(root: string, pid: number, stat = readStat(root, pid)): Process | undefined {
  if (stat === undefined) return undefined;
  const args = readArgs(root, pid);
  const cgroup = readStart(`${root}/${pid}/cgroup`, MAX_CGROUP) ?? '';
  // Meanwhile the kernel may have given the id to another process, or the process may have become another program.
  const again = readStat(root, pid);
  if (again === undefined || again.startTime !== stat.startTime || again.comm !== stat.comm) return undefined;
  const startSeconds = bootSeconds(root) + stat.startTime / TICKS_PER_SECOND;
  return { ...again, pid, args, cgroup, startSeconds, uid: uidOf(root, pid) };
}

export function readThreadCgroup(root: string, pid: number, tid: number): string {
  return readStart(`${root}/${pid}/task/${tid}/cgroup`, MAX_CGROUP) ?? '';
}

/** The thread's id in its own pid namespace: the last number of `NSpid`. */
export function innermostTid(root: string, pid: number, tid: number): number {
  const status = readStart(`${root}/${pid}/task/${tid}/status`) ?? '';
  const ids = /^NSpid:([\d\s]*)$/m.exec(status)?.[1]?.trim().split(/\s+/) ?? [];
  return Number(ids.at(-1) || tid);
}

/** The effective user id of a process, the second one of four; -1 if it is not known. */
export function uidOf(root: string, pid: number): number {
  return Number(/^Uid:\s*\d+\s+(\d+)/m.exec(readStart(`${root}/${pid}/status`) ?? '')?.[1] ?? -1);
}

/** The process that a thread belongs to. A saved copy answers for main threads only. */
export function tgidOf(root: string, tid: number): number | undefined {
  const match = /^Tgid:\s*(\d+)$/m.exec(readStart(`${root}/${tid}/status`) ?? '');
  return match === null ? undefined : Number(match[1]);
}

export function parseStat(text: string | undefined): Stat | undefined {
  if (text === undefined) return undefined;
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ', START_TIME + 1);
  const startTime = Number(fields[START_TIME]);
  const flags = Number(fields[FLAGS]);
  if (open < 0 || close < open || fields.length <= START_TIME || !(startTime >= 0)) return undefined;
  return {
    comm: text.slice(open + 1, close),
    isEnding: /^[ZXx]$/.test(fields[STATE] ?? '') || (flags & PF_EXITING) !== 0,
    parent: Number(fields[PARENT]),
    kernel: (flags & PF_KTHREAD) !== 0,
    startTime,
  };
}

/** Each argument ends with NUL. Some programs overwrite their arguments, without a NUL at the end. */
function argsOf(cmdline: string): string[] {
  if (cmdline === '') return [];
  return (cmdline.endsWith('\0') ? cmdline.slice(0, -1) : cmdline).split('\0');
}

function numbersIn(folder: string): number[] | undefined {
  try {
    return readdirSync(folder).flatMap((name) => (/^[1-9]\d*$/.test(name) ? [Number(name)] : []));
  } catch (error) {
    return undefinedUnlessOutOfFiles(error);
  }
}

function undefinedUnlessOutOfFiles(error: unknown): undefined {
  // The message names no file: a scan reads thousands of files, and each new message is logged.
  if (isOutOfFiles(error)) throw fileError('files of processes', error);
  return undefined;
}

const buffer = Buffer.allocUnsafe(4096);

/** In a saved copy of /proc, which anyone may have made, a file may be a pipe: to open it would wait for ever. */
const NO_WAIT = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * Reads the beginning of a file, up to 4 KiB at a third of the cost of readFileSync. A scan does so thousands of times.
 */
export function readStart(path: string, maxBytes = buffer.length): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, NO_WAIT);
    const length = readSync(file, buffer, 0, buffer.length, 0);
    if (length < buffer.length || maxBytes <= length) return buffer.toString('utf8', 0, length);
    const whole = Buffer.allocUnsafe(maxBytes);
    return whole.toString('utf8', 0, readWhole(file, whole));
  } catch (error) {
    return undefinedUnlessOutOfFiles(error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Fills the buffer from the beginning of a file. Returns the number of bytes read. */
function readWhole(file: number, bytes: Buffer): number {
  for (let length = 0; ; ) {
    const read = readSync(file, bytes, length, bytes.length - length, length);
    length += read;
    if (read === 0 || length === bytes.length) return length;
  }
}
