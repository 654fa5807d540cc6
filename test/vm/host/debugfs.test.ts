import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readDebugfsVcpus } from '../../../src/vm/host/debugfs.js';
import { fixture } from '../../support/fixtures.js';

test('readDebugfsVcpus reads a recorded tree', () => {
  const vcpus = readDebugfsVcpus(fixture('svm/two-vms-6.12/debugfs-kvm'));
  assert.deepEqual([...vcpus].sort(), [
    [186, 0],
    [187, 0],
    [188, 1],
  ]);
});

test('readDebugfsVcpus leaves out entries that are missing or malformed', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'debugfs-'));
  t.after(() => rmSync(root, { recursive: true }));
  const put = (folder: string, pid?: string): void => {
    mkdirSync(join(root, folder), { recursive: true });
    if (pid !== undefined) writeFileSync(join(root, folder, 'pid'), pid);
  };
  put('10-5/vcpu0', '11\n');
  put('10-5/vcpu1', '0\n'); // no thread has run it yet
  put('10-5/vcpu2'); // an older kernel has no such file
  put('10-5/vcpu3', 'x');
  put('10-5/vcpuX', '12\n');
  put('stray/vcpu0', '13\n');
  put('10-7/vcpu128', '14\n');
  assert.deepEqual([...readDebugfsVcpus(root)].sort(), [
    [11, 0],
    [14, 128],
  ]);
  assert.equal(readDebugfsVcpus(join(root, 'nowhere')).size, 0);
});
