/** KVM's statistics as `record` saves them, from a folder that looks like that of debugfs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { noteKvmStatistics } from '../../../src/vm/host/kvm-statistics.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

function kvmFolder(t: TestContext, vms: Readonly<Record<string, Readonly<Record<string, string>>>>): string {
  const folder = temporaryFolder(t, 'kvm');
  for (const [vm, files] of Object.entries(vms)) {
    mkdirSync(join(folder, vm, 'vcpu0'), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, vm, name), text);
  }
  return folder;
}

test('a line for each VM has the files that hold a number', (t) => {
  const folder = kvmFolder(t, {
    '178-15': { exits: '4171\n', io_exits: '0\n', halt_poll_success_hist: '1 2 3\n', empty: '' },
    '179-15': { exits: '18446744073709551615\n' },
    other: { exits: '5\n' },
  });
  assert.equal(
    noteKvmStatistics('end', folder),
    '{"statistics":"end","vm":"178-15","values":{"exits":4171,"io_exits":0}}\n' +
      '{"statistics":"end","vm":"179-15","values":{"exits":18446744073709552000}}\n',
  );
});

test('a file that is not in the folder above is not read: the kernel may work long for it', (t) => {
  const folder = kvmFolder(t, { '178-15': { exits: '4171\n', mmu_rmaps_stat: '7\n' } });
  writeFileSync(join(folder, 'exits'), '4171\n');
  assert.match(noteKvmStatistics('start', folder), /"values":\{"exits":4171\}/);
});

test('what is no regular file is left out: pipes, links, long files', { timeout: 300_000 }, (t) => {
  const folder = kvmFolder(t, { '178-15': { exits: '4171\n', long: '9'.repeat(100_000) } });
  symlinkSync('exits', join(folder, '178-15/link'));
  assert.equal(spawnSync('mkfifo', [join(folder, '178-15/pipe')]).status, 0);
  assert.match(noteKvmStatistics('end', folder), /"values":\{"exits":4171\}/);
});

test('nothing is noted where there is no such folder', () => {
  assert.equal(noteKvmStatistics('end', '/nonexistent'), '');
});
