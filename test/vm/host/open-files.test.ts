import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findOpeners } from '../../../src/vm/host/open-files.js';

test('findOpeners finds the process that has a file open, also after a rename, and skips processes that ended', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'open-files-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'vm.log');
  const other = join(folder, 'closed.log');
  writeFileSync(other, '');
  const fd = openSync(path, 'w');
  t.after(() => closeSync(fd));
  const id = (file: string) => {
    const { dev, ino } = statSync(file);
    return `${dev}:${ino}`;
  };
  const files = new Map([
    [path, id(path)],
    [other, id(other)],
  ]);
  // No process has the id 999999999.
  assert.deepEqual(findOpeners('/proc', [999_999_999, process.pid], files), new Map([[id(path), process.pid]]));
  assert.deepEqual(findOpeners('/proc', [process.pid], new Map([[other, id(other)]])), new Map());
  renameSync(path, join(folder, 'vm.log.1'));
  const renamed = join(folder, 'vm.log.1');
  assert.deepEqual(findOpeners('/proc', [process.pid], new Map([[renamed, id(renamed)]])).size, 1);
});
