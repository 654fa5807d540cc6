import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findOpeners } from '../../../src/vm/host/open-files.js';

test('the process that has a file open is found, also by another name; one that has gone is not missed', (t) => {
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
  // 999999999 can't be a process.
  assert.deepEqual(findOpeners('/proc', [999_999_999, process.pid], files), new Map([[id(path), process.pid]]));
  assert.deepEqual(findOpeners('/proc', [process.pid], new Map([[other, id(other)]])), new Map());
  renameSync(path, join(folder, 'vm.log.1'));
  const renamed = join(folder, 'vm.log.1');
  assert.deepEqual(findOpeners('/proc', [process.pid], new Map([[renamed, id(renamed)]])).size, 1);
});
