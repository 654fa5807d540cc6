/** What the host is, for `check`: reads only. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { tryListFolder, tryReadText } from '../../system/files.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** Where things are; tests have others. */
export interface HostPaths {
  readonly procfs: string;
  /** /sys */
  readonly sysfs: string;
  /** /dev */
  readonly dev: string;
}

const OLDEST_NODE = 20;

export function checkNode(version: string): Finding {
  const major = Number(/^v(\d+)\./.exec(version)?.[1]);
  if (major >= OLDEST_NODE) return ok(version);
  return fail(`${version} is too old`, `install Node.js ${OLDEST_NODE} or later`);
}

/** `uid` undefined: not a system that has them. `status`: text of /proc/self/status. */
export function checkUser(uid: number | undefined, status: string): Finding {
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = capabilities === 0n ? 'no capabilities; none is needed' : 'with capabilities; none is needed';
  if (uid === 0) return ok(`uid 0, ${has}`);
  return warn(
    `uid ${uid ?? 'unknown'}, which tracefs refuses unless it is mounted for it`,
    'run as root (uid 0 without any capability will do), or mount tracefs with -o gid=...,mode=0770',
  );
}

export function checkKvm({ sysfs, dev }: HostPaths): Finding {
  const modules = tryListFolder(join(sysfs, 'module')).filter((name) => /^kvm(_|$)/.test(name));
  if (modules.length === 0)
    return fail(
      'the kvm module is not loaded',
      'modprobe kvm_intel or kvm_amd (run waits for it and goes on by itself)',
    );
  if (existsSync(join(dev, 'kvm'))) return ok(`${modules.join(', ')}; ${join(dev, 'kvm')} is there`);
  return warn(
    `${modules.join(', ')}; no ${join(dev, 'kvm')}, so no VM can start from here`,
    'none needed in a container that only watches',
  );
}

export function checkLockdown({ sysfs }: HostPaths): Finding {
  const mode = /\[(\w+)\]/.exec(tryReadText(join(sysfs, 'kernel/security/lockdown')) ?? '')?.[1];
  if (mode === undefined) return ok('the kernel has none');
  if (mode !== 'confidentiality') return ok(mode);
  return fail('confidentiality, which refuses tracefs', 'boot with lockdown=integrity or without');
}

/** Names of VMs come from the command lines of processes, and an event tells a thread's id as the host sees it. */
export function checkProc({ procfs }: HostPaths): Finding {
  const pids = tryListFolder(procfs).filter((name) => /^\d+$/.test(name));
  if (pids.length === 0)
    return fail(`${procfs}: no processes there`, 'mount proc there, or give the place: --path.procfs=DIR');
  const hidden = hidepid(procfs);
  if (hidden !== undefined && tryReadText(join(procfs, '1/comm')) === undefined)
    return fail(
      `${procfs}: mounted with ${hidden}, so other users' processes can't be seen`,
      `run as root, or mount it for this group: mount -o remount,gid=... ${procfs}`,
    );
  // Process 2 of the first pid namespace is the father of the kernel's threads; in others it is anything else, or nothing.
  if (tryReadText(join(procfs, '2/comm')) !== 'kthreadd\n')
    return fail(
      `${procfs}: of a container, so the host's VMs can't be seen`,
      "share the host's process ids (hostPID: true, --pid=host), or mount its /proc and give --path.procfs=DIR",
    );
  if (tryReadText(join(procfs, '1/cmdline')) === undefined)
    return warn(`${procfs}: command lines of others can't be read, so VMs have no names`, 'run as root');
  return ok(`${procfs}: the host's own, ${pids.length} processes`);
}

/** `hidepid=2`, `hidepid=invisible`; undefined where nothing is hidden. */
function hidepid(procfs: string): string | undefined {
  for (const line of (tryReadText(join(procfs, 'self/mounts')) ?? '').split('\n')) {
    const [, target, type, options = ''] = line.split(' ');
    if (type === 'proc' && target === procfs) return /\bhidepid=(?!0|off)\w+/.exec(options)?.[0];
  }
  return undefined;
}
