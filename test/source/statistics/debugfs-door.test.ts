/** KVM's folder in debugfs, as Linux 6.12 has it, and this host's own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, constants, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DebugfsDoor } from '../../../src/source/statistics/debugfs-door.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

function writeFile(path: string, text: string, mode = 0o644): void {
  writeFileSync(path, text);
  chmodSync(path, mode);
}

/** A folder with the statistics of one VM, 187-11. */
function debugfs(t: TestContext, ofVm: Readonly<Record<string, string>>): string {
  const root = temporaryFolder(t, 'debugfs');
  for (const name of ['exits', 'halt_wait_ns', 'halt_wait_hist', 'max_mmu_rmap_size'])
    writeFile(join(root, name), '0\n');
  writeFile(join(root, 'pages_4k'), '0\n', 0o444);
  const vm = join(root, '187-11');
  mkdirSync(join(vm, 'vcpu0'), { recursive: true });
  for (const [name, text] of Object.entries(ofVm)) writeFile(join(vm, name), text);
  return root;
}

function read(root: string): unknown {
  const door = new DebugfsDoor(root, () => true);
  const [folder] = door.find();
  assert.ok(folder !== undefined);
  const part = door.read(folder);
  return typeof part === 'string'
    ? part
    : part.values.map(([{ name, kind, isTime }, value]) => [name, kind, isTime, value]);
}

test("a VM's files are read by the names that the kernel lists for all VMs", (t) => {
  const root = debugfs(t, {
    exits: '4171\n',
    halt_wait_ns: '2500000000\n',
    halt_wait_hist: '3\n',
    max_mmu_rmap_size: '12\n',
    pages_4k: '500\n',
    mmu_rmaps_stat: 'Rmap_Count:\t0\t1\n',
  });
  assert.deepEqual(read(root), [
    ['exits', 'total', false, 4171],
    ['halt_wait_ns', 'total', true, 2.5],
    ['max_mmu_rmap_size', 'current', false, 12],
    ['pages_4k', 'current', false, 500],
  ]);
  assert.deepEqual(new DebugfsDoor(root, () => true).find(), [{ name: '187-11', creator: 187 }]);
});

test('files that cannot be read at a place of choice are read, as those of debugfs (simple_attr_open)', (t) => {
  const root = debugfs(t, {});
  const file = join(root, '187-11/exits');
  assert.equal(spawnSync('mkfifo', [file]).status, 0);
  const pipe = openSync(file, constants.O_RDWR);
  t.after(() => closeSync(pipe));
  writeSync(pipe, '4171\n');
  assert.deepEqual(read(root), [['exits', 'total', false, 4171]]);
});

test("a VM that takes another one's place, under the same name, is another part", (t) => {
  const root = debugfs(t, { exits: '4171\n' });
  const door = new DebugfsDoor(root, () => true);
  const key = () => {
    const [folder] = door.find();
    const part = folder && door.read(folder);
    assert.ok(typeof part === 'object');
    return part.key;
  };
  const first = key();
  assert.equal(key(), first);
  // The first folder stays elsewhere, so that its inode is not used again.
  renameSync(join(root, '187-11'), join(root, 'ended'));
  mkdirSync(join(root, '187-11'));
  writeFile(join(root, '187-11/exits'), '5000\n');
  assert.notEqual(key(), first);
});

test('a file that holds no number is left out', (t) => {
  assert.deepEqual(read(debugfs(t, { exits: '5\n', halt_wait_ns: '-3\n', pages_4k: 'x\n' })), [
    ['exits', 'total', false, 5],
  ]);
});

test('a VM that has just ended has no statistics', (t) => {
  assert.equal(read(debugfs(t, {})), 'the VM has ended');
});

test('a host without debugfs is reported as such', (t) => {
  const door = new DebugfsDoor(join(temporaryFolder(t, 'debugfs'), 'kvm'), () => true);
  assert.deepEqual(door.find(), []);
  assert.equal(door.closed, 'debugfs is not mounted here, or the kvm module is not loaded');
});
