/** A cgroup with a CPU quota, in the hierarchy of this machine: v1 if it has the cpu controller, else v2. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endLater } from '../end-later.js';
import { skipUnless } from '../requirements.js';

const MOUNTS = readFileSync('/proc/mounts', 'utf8');
const PERIOD_US = 100_000;

/** The folder in which cgroups with the cpu controller are created; undefined if this machine has none. */
function findController(): { readonly root: string; readonly version: 1 | 2 } | undefined {
  const v1 = /^\S+ (\S+) cgroup rw\S*\bcpu\b/m.exec(MOUNTS)?.[1];
  if (v1 !== undefined) return { root: v1, version: 1 };
  const v2 = /^\S+ (\S+) cgroup2 rw/m.exec(MOUNTS)?.[1];
  if (v2 === undefined) return undefined;
  try {
    writeFileSync(join(v2, 'cgroup.subtree_control'), '+cpu');
    return { root: v2, version: 2 };
  } catch {
    return undefined;
  }
}

const CONTROLLER = findController();

export const needsCpuCgroup = () => skipUnless('cpu-cgroup', CONTROLLER !== undefined);

export interface CpuQuota {
  /** Command prefix that starts a program in the cgroup. */
  readonly prefix: readonly string[];
}

let created = 0;

/** Creates a cgroup that may use this part of one CPU, until the test ends. */
export function createCpuQuota(part: number): CpuQuota {
  const { root = '', version } = CONTROLLER ?? {};
  const path = join(root, `kvm-exit-exporter-test-${process.pid}-${++created}`);
  mkdirSync(path);
  endLater(async () => {
    try {
      rmdirSync(path);
    } catch {
      // A failed test has left a process in it.
    }
  });
  const quota = Math.round(part * PERIOD_US);
  if (version === 2) writeFileSync(join(path, 'cpu.max'), `${quota} ${PERIOD_US}`);
  else {
    writeFileSync(join(path, 'cpu.cfs_period_us'), String(PERIOD_US));
    writeFileSync(join(path, 'cpu.cfs_quota_us'), String(quota));
  }
  return { prefix: ['sh', '-c', `echo $$ > ${path}/cgroup.procs && exec "$@"`, 'sh'] };
}
