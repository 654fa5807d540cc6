/** Cgroups as kubelet creates them for pods, in the cgroup v2 hierarchy of this machine. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endLater } from '../end-later.js';
import { skipUnless } from '../requirements.js';

/** Mount point of cgroup v2, alone or beside v1; undefined if it is not mounted or read-only. */
const CGROUP2 = /^\S+ (\S+) cgroup2 rw/m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];

export const needsCgroup2 = () => skipUnless('cgroup2', CGROUP2 !== undefined);

/** Moves a process into a cgroup. */
type MoveHere = (pid: number) => void;

/** Creates the cgroup `kubepods/QOS/podUID/CONTAINER` until the test ends. */
export function createPodCgroup(qos: string, uid: string, container: string): MoveHere {
  const path = join(CGROUP2 ?? '', 'kubepods', qos, `pod${uid}`, container);
  mkdirSync(path, { recursive: true });
  endLater(async () => {
    for (let folder = path; folder !== CGROUP2; folder = join(folder, '..')) {
      try {
        rmdirSync(folder);
      } catch {
        return; // another process is in it
      }
    }
  });
  return (pid) => writeFileSync(join(path, 'cgroup.procs'), String(pid));
}

/** The cgroup of this process, to return to later. */
export function currentCgroup(): MoveHere {
  const path = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  return (pid) => writeFileSync(join(CGROUP2 ?? '', path, 'cgroup.procs'), String(pid));
}
