/** A cgroup with a memory limit, in the hierarchy of this machine: v1 if it has the memory controller, else v2. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endLater } from '../end-later.js';
import { skipUnless } from '../requirements.js';

const MOUNTS = readFileSync('/proc/mounts', 'utf8');

/**
 * Folder that new cgroups are created in, and the file of a cgroup that holds its limit; undefined if there is no
 * memory controller.
 */
function findController(): { readonly root: string; readonly limitFile: string } | undefined {
  const v1 = /^\S+ (\S+) cgroup rw\S*\bmemory\b/m.exec(MOUNTS)?.[1];
  if (v1 !== undefined) return { root: v1, limitFile: 'memory.limit_in_bytes' };
  const v2 = /^\S+ (\S+) cgroup2 rw/m.exec(MOUNTS)?.[1];
  if (v2 === undefined || !/\bmemory\b/.test(readFileSync(join(v2, 'cgroup.subtree_control'), 'utf8')))
    return undefined;
  return { root: v2, limitFile: 'memory.max' };
}

const CONTROLLER = findController();

export const needsMemoryCgroup = () => skipUnless('memory-cgroup', CONTROLLER !== undefined);

export interface MemoryCgroup {
  /**
   * Command prefix that starts a program in the cgroup, as the first one that the kernel kills when memory runs out.
   */
  readonly prefix: readonly string[];
  /** Uses up the memory of the cgroup until `enough` resolves. */
  exhaust(enough: Promise<unknown>): Promise<void>;
}

/** Highest oom_score_adj: the kernel kills such a process first. */
const KILLED_FIRST = 1000;

let created = 0;

/** Creates a cgroup that may use `bytes` of memory, until the test ends. */
export function createMemoryCgroup(bytes: number): MemoryCgroup {
  const { root = '', limitFile = '' } = CONTROLLER ?? {};
  const path = join(root, `kvm-exit-exporter-test-${process.pid}-${++created}`);
  mkdirSync(path);
  endLater(async () => {
    try {
      rmdirSync(path);
    } catch {
      // A failed test has left a process in it.
    }
  });
  writeFileSync(join(path, limitFile), String(bytes));
  const inCgroup = (score: number) => [
    ...['sh', '-c', `echo $$ > ${path}/cgroup.procs && echo ${score} > /proc/$$/oom_score_adj && exec "$@"`, 'sh'],
  ];
  return {
    prefix: inCgroup(KILLED_FIRST),
    async exhaust(enough) {
      const [command = '', ...args] = [...inCgroup(0), process.execPath, '-e', MEMORY_HOG];
      const hog = spawn(command, args, { stdio: 'ignore' });
      const ended = once(hog, 'close');
      await enough;
      hog.kill('SIGKILL');
      await ended;
    },
  };
}

const MEMORY_HOG = 'const kept = []; setInterval(() => kept.push(Buffer.alloc(8 << 20, 1)), 10)';
