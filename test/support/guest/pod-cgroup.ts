/** Groups of processes as kubelet makes them, in this machine's own cgroup v2. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endLater } from '../end-later.js';
import { skipUnless } from '../requirements.js';

/** Where cgroup v2 is mounted, alone or beside v1; undefined where it is not, or can't be written to. */
const ROOT = /^\S+ (\S+) cgroup2 rw/m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];

export const needsCgroup2 = () => skipUnless('cgroup2', ROOT !== undefined);

/** `kubepods/burstable/pod<uid>/<container>`, for the time of a test. Returns what moves a process there. */
export function podGroup(qos: string, uid: string, container: string): (pid: number) => void {
  const path = join(ROOT ?? '', 'kubepods', qos, `pod${uid}`, container);
  mkdirSync(path, { recursive: true });
  endLater(async () => {
    for (let folder = path; folder !== ROOT; folder = join(folder, '..')) {
      try {
        rmdirSync(folder);
      } catch {
        return; // somebody else is in it
      }
    }
  });
  return (pid) => writeFileSync(join(path, 'cgroup.procs'), String(pid));
}

/** The group that this process is in, to go back to. */
export function ownGroup(): (pid: number) => void {
  const path = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  return (pid) => writeFileSync(join(ROOT ?? '', path, 'cgroup.procs'), String(pid));
}
