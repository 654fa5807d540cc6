/** Looks at the host, for `check`; changes nothing. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { tryListFolder, tryReadText } from '../../system/files.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** Mount points of the host. Tests use folders. */
export interface HostPaths {
  readonly procfs: string;
  readonly sysfs: string;
  readonly dev: string;
}

const MIN_NODE = 20;

export function checkNode(version: string): Finding {
  const major = Number(/^v(\d+)\./.exec(version)?.[1]);
  if (major >= MIN_NODE) return ok(version);
  return fail(`${version} is too old`, `install Node.js ${MIN_NODE} or later`);
}

/**
 * @param uid undefined on systems without user ids
 * @param status text of /proc/self/status
 */
export function checkUser(uid: number | undefined, status: string): Finding {
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = capabilities === 0n ? 'no capabilities; none is needed' : 'with capabilities; none is needed';
  if (uid === 0) return ok(`uid 0, ${has}`);
  return warn(
    `uid ${uid ?? 'unknown'}: tracefs refuses it unless it is mounted for this user`,
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
  if (existsSync(join(dev, 'kvm'))) return ok(`${modules.join(', ')}; ${join(dev, 'kvm')} exists`);
  return warn(
    `${modules.join(', ')}; no ${join(dev, 'kvm')}, so no VM can start from here`,
    'nothing to do in a container that only runs the agent',
  );
}

export function checkLockdown({ sysfs }: HostPaths): Finding {
  const securityfs = join(sysfs, 'kernel/security');
  const mode = /\[(\w+)\]/.exec(tryReadText(join(securityfs, 'lockdown')) ?? '')?.[1];
  if (mode === undefined && tryListFolder(securityfs).length === 0)
    return ok(`not known: securityfs is not mounted at ${securityfs}`);
  if (mode === undefined) return ok('the kernel has none');
  if (mode === 'integrity') return ok("integrity, which closes debugfs; KVM's own statistics then need QMP or libvirt");
  if (mode !== 'confidentiality') return ok(mode);
  return fail('confidentiality, which refuses tracefs', 'boot with lockdown=integrity, or without lockdown');
}

/** VMs get their names from the command lines in /proc, and an event holds the id that its thread has on the host. */
export function checkProc({ procfs }: HostPaths): Finding {
  const pids = tryListFolder(procfs).filter((name) => /^\d+$/.test(name));
  if (pids.length === 0) return fail(`${procfs}: no processes there`, 'mount proc there, or give --path.procfs=DIR');
  const hidden = hidepid(procfs);
  if (hidden !== undefined && tryReadText(join(procfs, '1/comm')) === undefined)
    return fail(
      `${procfs}: mounted with ${hidden}, so other users' processes can't be seen`,
      `run as root, or mount it for this group: mount -o remount,gid=... ${procfs}`,
    );
  // Only in the first pid namespace is process 2 the parent of the kernel's threads.
  if (tryReadText(join(procfs, '2/comm')) !== 'kthreadd\n')
    return fail(
      `${procfs}: of a container, so the host's VMs can't be seen`,
      "share the host's process ids (hostPID: true, --pid=host), or mount its /proc and give --path.procfs=DIR",
    );
  if (tryReadText(join(procfs, '1/cmdline')) === undefined)
    return warn(`${procfs}: other users' command lines can't be read, so VMs have no names`, 'run as root');
  return ok(`${procfs}: the host's own, ${pids.length} processes`);
}

/** The mount option that hides processes, such as `hidepid=2` or `hidepid=invisible`; undefined if there is none. */
function hidepid(procfs: string): string | undefined {
  for (const line of (tryReadText(join(procfs, 'self/mounts')) ?? '').split('\n')) {
    const [, target, type, options = ''] = line.split(' ');
    if (type === 'proc' && target === procfs) return /\bhidepid=(?!0|off)\w+/.exec(options)?.[0];
  }
  return undefined;
}
