/**
 * Programs, devices and rights that only some machines have. A test that needs a missing one is skipped, and the reason
 * is printed. The environment can demand requirements, so that a machine that should have them does not skip tests
 * silently:
 *
 *   KVM_EXIT_EXPORTER_REQUIRE=promtool,root npm test      fails if promtool or root is missing
 */
import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type TestOptions, test } from 'node:test';

export type Requirement =
  | 'promtool'
  | 'root'
  | 'kvm'
  | 'prometheus'
  | 'chromium'
  | 'tracefs'
  | 'kvm-events'
  | 'kvm-debugfs'
  | 'qemu'
  | 'perf'
  | 'gcc'
  | 'ns_last_pid'
  | 'setpriv'
  | 'prlimit'
  | 'unshare'
  | 'nsenter'
  | 'openssl'
  | 'systemd-analyze'
  | 'systemd-notify'
  | 'python3'
  | 'kubectl'
  | 'svmhost'
  | 'armhost'
  | 'cgroup2'
  | 'memory-cgroup'
  | 'cpu-cgroup'
  | 'ip'
  | 'npm-cache'
  | 'buildah'
  | 'zstd'
  | 'trace-cmd'
  | 'tmux'
  | 'libvirtd'
  | 'virt-xml-validate'
  | 'bash'
  | 'zsh'
  | 'fish'
  | 'man'
  | 'control-plane'
  | 'peers'
  | 'executable'
  | 'deb'
  | 'rpm'
  | 'debian-root'
  | 'systemd-nspawn'
  | 'lintian';

const VARIABLE = 'KVM_EXIT_EXPORTER_REQUIRE';
const DEMANDED = (process.env[VARIABLE] ?? '').split(',').map((word) => word.trim());
const reported = new Set<Requirement>();

/**
 * Options for `test`: skips it unless `what` is available. If `what` is demanded and missing, an additional test fails.
 */
export function skipUnless(what: Requirement, available: boolean): { skip: string | false } {
  if (available) return { skip: false };
  if (DEMANDED.includes(what) && !reported.has(what)) {
    reported.add(what);
    test(`${what} is available, as ${VARIABLE} demands`, () => assert.fail(`${what} is missing on this machine`));
  }
  return { skip: `needs ${what}, which is missing here (set ${VARIABLE}=${what} to make this a failure)` };
}

interface Skippable {
  readonly skip: string | false;
}

/** Requirements that are a file (the test must be able to write to it) or a program of another name. */
const FILES: Partial<Record<Requirement, string>> = {
  kvm: '/dev/kvm',
  tracefs: '/sys/kernel/tracing/tracing_on',
  'kvm-events': '/sys/kernel/tracing/events/kvm/enable',
  'kvm-debugfs': '/sys/kernel/debug/kvm',
  qemu: 'qemu-system-x86_64',
};

/**
 * Options for `test`: skips it unless this machine has everything named. Looks for root, device files and programs
 * itself.
 */
export function needs(...names: Requirement[]): { skip: string | false } {
  return allOf(...names.map((name) => skipUnless(name, isAvailable(name))));
}

/** Joins options for `test`: it is skipped if one of them says so. */
export function allOf(...options: readonly Skippable[]): Skippable & TestOptions {
  const { skip } = options.find((each) => each.skip !== false) ?? { skip: false };
  return Object.assign({}, ...options, { skip });
}

export function isAvailable(name: Requirement): boolean {
  if (name === 'root') return process.getuid?.() === 0;
  const file = FILES[name] ?? name;
  if (file.startsWith('/')) return allows(file, constants.R_OK | constants.W_OK);
  return (process.env.PATH ?? '').split(delimiter).some((folder) => allows(join(folder, file), constants.X_OK));
}

function allows(file: string, mode: number): boolean {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}
