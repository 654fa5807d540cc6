/** A group of processes with a limit on its memory, in this machine's own cgroups (v2, or v1 where the memory controller is there). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endLater } from '../end-later.js';
import { skipUnless } from '../requirements.js';

const MOUNTS = readFileSync('/proc/mounts', 'utf8');

/** Where groups with a limit can be made, and the file that has it; undefined where they can't. */
function place(): { readonly root: string; readonly limit: string } | undefined {
  const v1 = /^\S+ (\S+) cgroup rw\S*\bmemory\b/m.exec(MOUNTS)?.[1];
  if (v1 !== undefined) return { root: v1, limit: 'memory.limit_in_bytes' };
  const v2 = /^\S+ (\S+) cgroup2 rw/m.exec(MOUNTS)?.[1];
  if (v2 === undefined || !/\bmemory\b/.test(readFileSync(join(v2, 'cgroup.subtree_control'), 'utf8')))
    return undefined;
  return { root: v2, limit: 'memory.max' };
}

const PLACE = place();

export const needsMemoryCgroup = () => skipUnless('memory-cgroup', PLACE !== undefined);

export interface MemoryGroup {
  /** What starts a program in the group: the one that the kernel ends first when there is no memory left. */
  readonly prefix: readonly string[];
  /** Takes all the memory that is left, and more, until `enough`. */
  exhaust(enough: Promise<unknown>): Promise<void>;
}

/** Of oom_score_adj. */
const MOST_EXPENDABLE = 1000;

let groups = 0;

/** For the time of a test. */
export function memoryGroup(bytes: number): MemoryGroup {
  const { root = '', limit = '' } = PLACE ?? {};
  const path = join(root, `kvm-exit-exporter-test-${process.pid}-${++groups}`);
  mkdirSync(path);
  endLater(async () => {
    try {
      rmdirSync(path);
    } catch {
      // A test has failed, and somebody is still in it.
    }
  });
  writeFileSync(join(path, limit), String(bytes));
  const inGroup = (score: number) => [
    ...['sh', '-c', `echo $$ > ${path}/cgroup.procs && echo ${score} > /proc/$$/oom_score_adj && exec "$@"`, 'sh'],
  ];
  return {
    prefix: inGroup(MOST_EXPENDABLE),
    async exhaust(enough) {
      const [command = '', ...args] = [...inGroup(0), process.execPath, '-e', GLUTTON];
      const glutton = spawn(command, args, { stdio: 'ignore' });
      const ended = once(glutton, 'close');
      await enough;
      glutton.kill('SIGKILL');
      await ended;
    },
  };
}

const GLUTTON = 'const kept = []; setInterval(() => kept.push(Buffer.alloc(8 << 20, 1)), 10)';
