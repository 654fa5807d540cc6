import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Finding } from '../../../src/commands/check/finding.js';
import {
  checkKvm,
  checkLockdown,
  checkNode,
  checkProc,
  checkUser,
  type HostPaths,
} from '../../../src/commands/check/probe-host.js';

type Files = Readonly<Record<string, string>>;

/** A host that is made of these files: `proc/1/comm`, `sys/module/kvm/x` ... */
function host(t: TestContext, files: Files): HostPaths {
  const root = mkdtempSync(join(tmpdir(), 'host-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content.replaceAll('ROOT', root));
  }
  return { procfs: join(root, 'proc'), sysfs: join(root, 'sys'), dev: join(root, 'dev') };
}

const INIT = { 'proc/1/comm': 'systemd\n', 'proc/1/cmdline': '/sbin/init\0', 'proc/2/comm': 'kthreadd\n' };

const CASES: readonly {
  name: string;
  check: (paths: HostPaths) => Finding;
  files: Files;
  level: Finding['level'];
  says: RegExp;
}[] = [
  { name: 'no kvm', check: checkKvm, files: { 'sys/module/kvmgt/x': '' }, level: 'FAIL', says: /not loaded.*modprobe/ },
  {
    name: 'kvm',
    check: checkKvm,
    files: { 'sys/module/kvm/x': '', 'sys/module/kvm_amd/x': '', 'dev/kvm': '' },
    level: 'ok',
    says: /^kvm, kvm_amd;/,
  },
  {
    name: 'kvm without /dev/kvm',
    check: checkKvm,
    files: { 'sys/module/kvm/x': '' },
    level: 'warn',
    says: /no .*dev\/kvm/,
  },
  {
    name: 'a kernel without lockdown',
    check: checkLockdown,
    files: { 'sys/kernel/security/lsm': 'capability,apparmor' },
    level: 'ok',
    says: /^the kernel has none$/,
  },
  {
    name: 'no securityfs, which would show lockdown',
    check: checkLockdown,
    files: {},
    level: 'ok',
    says: /^not known: securityfs is not mounted at .*sys\/kernel\/security$/,
  },
  {
    name: 'lockdown=none',
    check: checkLockdown,
    files: { 'sys/kernel/security/lockdown': '[none] integrity confidentiality\n' },
    level: 'ok',
    says: /^none$/,
  },
  {
    name: 'lockdown that allows tracefs',
    check: checkLockdown,
    files: { 'sys/kernel/security/lockdown': 'none [integrity] confidentiality\n' },
    level: 'ok',
    says: /^integrity, which closes debugfs; .* QMP or libvirt$/,
  },
  {
    name: 'lockdown',
    check: checkLockdown,
    files: { 'sys/kernel/security/lockdown': 'none integrity [confidentiality]\n' },
    level: 'FAIL',
    says: /refuses tracefs.*lockdown=integrity/,
  },
  { name: 'no /proc', check: checkProc, files: {}, level: 'FAIL', says: /no processes.*--path\.procfs/ },
  { name: "the host's /proc", check: checkProc, files: INIT, level: 'ok', says: /own, 2 processes/ },
  {
    name: "a container's /proc",
    check: checkProc,
    files: { ...INIT, 'proc/2/comm': 'sh\n' },
    level: 'FAIL',
    says: /container.*hostPID/,
  },
  {
    name: 'a /proc that hides processes',
    check: checkProc,
    files: { 'proc/77/comm': 'node\n', 'proc/self/mounts': 'proc ROOT/proc proc rw,hidepid=invisible 0 0\n' },
    level: 'FAIL',
    says: /hidepid=invisible.*remount,gid/,
  },
  {
    name: 'a /proc that hides processes from other users only',
    check: checkProc,
    files: { ...INIT, 'proc/self/mounts': 'proc ROOT/proc proc rw,hidepid=2 0 0\n' },
    level: 'ok',
    says: /own/,
  },
  {
    name: 'unreadable command lines',
    check: checkProc,
    files: { 'proc/1/comm': 'systemd\n', 'proc/2/comm': 'kthreadd\n' },
    level: 'warn',
    says: /command lines.*run as root/,
  },
];

for (const { name, check, files, level, says } of CASES) {
  test(`check finds: ${name}`, (t) => {
    const finding = check(host(t, files));
    assert.equal(finding.level, level);
    assert.match(
      `${finding.text}: ${finding.remedy ?? ''}`,
      finding.remedy === undefined ? new RegExp(says.source.replace(/\$$/, ': $')) : says,
    );
  });
}

test('check knows the oldest Node.js that works', () => {
  assert.equal(checkNode('v20.0.0').level, 'ok');
  assert.equal(checkNode('v24.1.2').level, 'ok');
  assert.equal(checkNode('v18.20.8').level, 'FAIL');
});

test('check reports that root needs no capability, and that other users need tracefs mounted for them', () => {
  assert.deepEqual(checkUser(0, 'CapEff:\t0000000000000000\n'), {
    level: 'ok',
    text: 'uid 0, no capabilities; none is needed',
  });
  assert.deepEqual(checkUser(0, 'CapEff:\t000001ffffffffff\n'), {
    level: 'ok',
    text: 'uid 0, with capabilities; none is needed',
  });
  assert.equal(checkUser(1000, 'CapEff:\t0000000000000000\n').level, 'warn');
});
