/** `check` on hosts that are made of folders. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { vm } from '../support/agent/inventory-tree.js';
import { ProcTree } from '../support/agent/proc-tree.js';
import { runAgent } from '../support/agent/run-agent.js';

interface Line {
  readonly level: string;
  readonly text: string;
}

/** Runs `check` and returns its lines by their subject; those of VMs by the name of the VM. */
function check(...args: string[]): { status: number | null; lines: Map<string, Line>; order: string[] } {
  const { status, stdout, stderr } = runAgent('check', ...args);
  assert.equal(stderr, '');
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => {
      const match = /^(ok {2}|warn|FAIL) {2}(.{14}) {2}(\S.*)$/.exec(line);
      assert.ok(match, line);
      const [, level = '', what = '', text = ''] = match;
      return { what: what.trim(), level: level.trim(), text };
    });
  return {
    status,
    order: rows.map(({ what }) => what),
    lines: new Map(
      rows.map(({ what, level, text }) => [what === 'VM' ? (text.split(':')[0] ?? '') : what, { level, text }]),
    ),
  };
}

function emptyFolder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'check-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('check prints one line for each thing, and fails if run cannot work', (t) => {
  const folder = emptyFolder(t);
  const { status, lines, order } = check('--path.tracefs', folder, '--path.procfs', folder);
  assert.equal(status, 2);
  assert.deepEqual(order, [
    'Node.js',
    'user',
    'kvm module',
    'tracefs',
    'kvm events',
    'ring buffers',
    'buffer memory',
    'QEMU markers',
    'hist triggers',
    'lockdown',
    '/proc',
    'VMs',
    'statistics',
    'vCPU numbers',
  ]);
  assert.deepEqual(lines.get('tracefs'), {
    level: 'FAIL',
    text: `--path.tracefs=${folder}: no tracefs there (no events/ in it)`,
  });
  assert.equal(lines.get('/proc')?.level, 'FAIL');
  assert.equal(lines.get('kvm events')?.level, 'warn');
  assert.match(lines.get('VMs')?.text ?? '', /^none is running/);
});

test('check recognises a copy of tracefs, and leaves nothing in it', (t) => {
  const folder = emptyFolder(t);
  mkdirSync(join(folder, 'events/kvm/kvm_exit'), { recursive: true });
  mkdirSync(join(folder, 'events/kvm/kvm_userspace_exit'));
  const { status, lines } = check('--path.tracefs', folder);
  assert.equal(status, 2);
  assert.match(lines.get('tracefs')?.text ?? '', /not a mounted tracefs/);
  assert.deepEqual(lines.get('kvm events'), { level: 'ok', text: 'kvm_exit, kvm_userspace_exit' });
  assert.match(lines.get('ring buffers')?.text ?? '', /no header_page there.*text is read instead/);
  mkdirSync(join(folder, 'instances'));
  assert.match(check('--path.tracefs', folder).lines.get('tracefs')?.text ?? '', /stays empty/);
  assert.deepEqual(readdirSync(join(folder, 'instances')), []);
});

test('check reports a kernel without the kvm module, or without kvm_exit', (t) => {
  const folder = emptyFolder(t);
  mkdirSync(join(folder, 'events'));
  assert.match(check('--path.tracefs', folder).lines.get('kvm events')?.text ?? '', /none: load the kvm module/);
  mkdirSync(join(folder, 'events/kvm/kvm_userspace_exit'), { recursive: true });
  const found = check('--path.tracefs', folder).lines.get('kvm events');
  assert.equal(found?.level, 'warn');
  assert.match(found.text, /no kvm_exit, so only exits to QEMU/);
});

test('check lists the VMs, their vCPUs and the trace backends of their QEMU', (t) => {
  const tree = new ProcTree(t);
  tree.put(vm(100, 'log-only'));
  writeFileSync(join(tree.root, '100/exe'), '\0%d@%zu.%06zu:kvm_run_exit cpu_index %d, reason %d\n\0');
  tree.put(vm(200, 'no-backend\x1b[31m'));
  writeFileSync(join(tree.root, '200/exe'), '\x7fELF');
  tree.put(vm(300, 'unreadable', { threads: [{ tid: 301, comm: 'qemu-system-x86', startTime: 301 }] }));
  tree.put({
    pid: 400,
    comm: 'firecracker',
    startTime: 400,
    args: ['/usr/bin/firecracker', '--id', 'fc'],
    threads: [],
  });
  const { lines } = check('--path.procfs', tree.root, '--path.tracefs', tree.root);
  assert.deepEqual(lines.get('log-only'), {
    level: 'ok',
    text: 'log-only: qemu, pid 100, vCPU threads known: 1, trace backends: log',
  });
  assert.match(lines.get('no-backend?[31m')?.text ?? '', /trace backends: none$/);
  assert.equal(lines.get('unreadable')?.level, 'warn');
  assert.match(lines.get('unreadable')?.text ?? '', /vCPU threads known: 0, .*binary can't be read: .*CAP_SYS_PTRACE/);
  assert.deepEqual(lines.get('fc'), { level: 'ok', text: 'fc: firecracker, pid 400, vCPU threads known: 0' });
  assert.match(lines.get('vCPU numbers')?.text ?? '', /debug-threads=on|debugfs/);
});
