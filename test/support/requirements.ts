/**
 * What only some machines have: a test that needs it is skipped with the reason, but fails where it was asked for.
 *
 *   KVM_EXIT_EXPORTER_REQUIRE=promtool,root npm test
 */
import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';

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
  | 'cgroup2'
  | 'memory-cgroup'
  | 'ip'
  | 'npm-cache'
  | 'buildah';

const VARIABLE = 'KVM_EXIT_EXPORTER_REQUIRE';
const REQUIRED = (process.env[VARIABLE] ?? '').split(',').map((word) => word.trim());
const reported = new Set<Requirement>();

/** Options for `test`. Where `what` is demanded and not available, a test of its own says so and fails. */
export function skipUnless(what: Requirement, available: boolean): { skip: string | false } {
  if (available) return { skip: false };
  if (REQUIRED.includes(what) && !reported.has(what)) {
    reported.add(what);
    test(`${what} is there, as ${VARIABLE} demands`, () => assert.fail(`no ${what} on this machine`));
  }
  return { skip: `needs ${what}, which is not there (${VARIABLE}=${what} makes this a failure)` };
}

/** Where a requirement is a file; any other is a program of that name. */
const FILES: Partial<Record<Requirement, string>> = {
  kvm: '/dev/kvm',
  tracefs: '/sys/kernel/tracing/tracing_on',
  'kvm-events': '/sys/kernel/tracing/events/kvm/enable',
  'kvm-debugfs': '/sys/kernel/debug/kvm',
  qemu: 'qemu-system-x86_64',
};

/** The same for what can be looked for on the spot: root, a file to write to, a program. */
export function needs(...names: Requirement[]): { skip: string | false } {
  const answers = names.map((name) => skipUnless(name, isThere(name)));
  return answers.find(({ skip }) => skip !== false) ?? { skip: false };
}

function isThere(name: Requirement): boolean {
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
