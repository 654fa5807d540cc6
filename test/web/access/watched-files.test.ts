import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { WatchedFiles } from '../../../src/web/access/watched-files.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'watched-'));
after(() => rmSync(FOLDER, { recursive: true }));

let files = 0;
function watched(): { path: string; watch: WatchedFiles } {
  const path = join(FOLDER, `${++files}`);
  writeFileSync(path, 'one');
  const watch = new WatchedFiles();
  assert.equal(watch.read(path), 'one');
  assert.equal(watch.hasChanged, false);
  return { path, watch };
}

test('a file that was overwritten or deleted has changed', () => {
  const { path, watch } = watched();
  writeFileSync(path, 'other');
  assert.equal(watch.hasChanged, true);
  rmSync(path);
  assert.equal(watch.hasChanged, true);
});

test('a file that was replaced by one of the same length has changed', () => {
  const { path, watch } = watched();
  writeFileSync(`${path}.new`, 'two');
  renameSync(`${path}.new`, path);
  assert.equal(watch.hasChanged, true);
});

test('a file whose directory link was changed has changed, as Kubernetes updates secrets', () => {
  const link = join(FOLDER, 'data');
  for (const version of ['a', 'b']) {
    mkdirSync(join(FOLDER, version));
    writeFileSync(join(FOLDER, version, 'tls.crt'), version);
  }
  symlinkSync('a', link);
  const watch = new WatchedFiles();
  assert.equal(watch.read(join(link, 'tls.crt')), 'a');
  symlinkSync('b', `${link}.new`);
  renameSync(`${link}.new`, link);
  assert.equal(watch.hasChanged, true);
});

test('a missing file has changed once it exists', () => {
  const path = join(FOLDER, 'later');
  const watch = new WatchedFiles();
  assert.throws(() => watch.read(path), /later: no such file$/);
  assert.equal(watch.hasChanged, false);
  writeFileSync(path, 'there');
  assert.equal(watch.hasChanged, true);
});
