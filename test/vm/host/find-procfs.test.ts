import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findProcfs } from '../../../src/vm/host/find-procfs.js';
import { runAgent } from '../../support/agent/run-agent.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

test('findProcfs takes a directory with a process in it', (t) => {
  const folder = temporaryFolder(t, 'procfs');
  mkdirSync(join(folder, '4711'));
  assert.equal(findProcfs(folder), folder);
  assert.equal(findProcfs(undefined), '/proc');
});

test('run and record refuse a directory that is no /proc', (t) => {
  const folder = temporaryFolder(t, 'procfs');
  writeFileSync(join(folder, 'file'), '');
  const output = join(folder, 'vm.dat');
  for (const [path, problem] of [
    ['/nonexistent', /no such file/],
    [folder, /no process there/],
    [join(folder, 'file'), /.*not a directory/],
  ] as const)
    for (const command of [['run'], ['record', '-o', output, '--duration=1s']]) {
      const { status, stdout, stderr } = runAgent(...command, `--path.procfs=${path}`);
      assert.deepEqual([status, stdout], [2, '']);
      assert.match(
        stderr,
        new RegExp(`^kvm-exit-exporter: --path\\.procfs=${path}: ${problem.source}.*; give the dir.*\n$`),
      );
      assert.ok(!existsSync(output));
    }
});
