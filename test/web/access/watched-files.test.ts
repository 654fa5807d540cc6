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
  assert.equal(watch.changed, false);
  return { path, watch };
}

test('a file that is written anew has changed, and one that is gone', () => {
  const { path, watch } = watched();
  writeFileSync(path, 'other');
  assert.equal(watch.changed, true);
  rmSync(path);
  assert.equal(watch.changed, true);
});

test('a file of the same length and age that takes its place is another', () => {
  const { path, watch } = watched();
  writeFileSync(`${path}.new`, 'two');
  renameSync(`${path}.new`, path);
  assert.equal(watch.changed, true);
});

test('a link that leads elsewhere is another file, as Kubernetes changes secrets', () => {
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
  assert.equal(watch.changed, true);
});

test('a file that is not there is waited for', () => {
  const path = join(FOLDER, 'later');
  const watch = new WatchedFiles();
  assert.throws(() => watch.read(path), /later: no such file$/);
  assert.equal(watch.changed, false);
  writeFileSync(path, 'there');
  assert.equal(watch.changed, true);
});
