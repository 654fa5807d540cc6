/** Arguments that `record` refuses before it touches the kernel. Recording itself is tested in test/live. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runAgent } from '../support/agent/run-agent.js';
import { needs } from '../support/requirements.js';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'record-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const REFUSED: readonly { what: string; args: (dir: string) => string[]; says: RegExp }[] = [
  { what: 'no file', args: () => [], says: /record needs --output=FILE \(-o FILE\)/ },
  { what: '-o without a value', args: () => ['-o'], says: /-o needs a value: FILE/ },
  { what: 'a directory', args: (dir) => ['-o', dir], says: /exists; give a file that does not exist yet/ },
  { what: 'a file', args: (dir) => ['-o', join(dir, 'x')], says: /x: exists; give a file/ },
  {
    what: 'a link to a file that does not exist',
    args: (dir) => ['-o', join(dir, 'link')],
    says: /link: exists; give a file/,
  },
  {
    what: 'a duration without a unit',
    args: (dir) => ['-o', join(dir, 'new'), '--duration=10'],
    says: /--duration=10: expected/,
  },
  {
    what: 'a directory that is not a tracefs',
    args: (dir) => ['-o', join(dir, 'new'), '--path.tracefs', dir],
    says: /no tracefs there/,
  },
];

for (const { what, args, says } of REFUSED) {
  test(`record refuses ${what}, and leaves no file behind`, (t) => {
    const dir = folder(t);
    writeFileSync(join(dir, 'x'), '');
    symlinkSync(join(dir, 'target'), join(dir, 'link'));
    const { status, stderr, stdout } = runAgent('record', ...args(dir));
    assert.equal(status, 2, stderr);
    assert.match(stderr, says);
    assert.equal(stdout, '');
    assert.deepEqual(readdirSync(dir).sort(), ['link', 'x']);
  });
}

test('record refuses a folder in which another user can replace its file', needs('root'), (t) => {
  const dir = folder(t);
  const [open, foreign] = ['open', 'foreign'].map((name) => join(dir, name)) as [string, string];
  for (const path of [open, foreign]) mkdirSync(path);
  chmodSync(open, 0o777);
  chownSync(foreign, 65_534, 65_534);
  for (const path of [open, foreign, join(foreign, 'new')]) {
    const { status, stderr } = runAgent('record', '-o', join(path, 'vm.dat'));
    assert.equal(status, 2);
    assert.match(stderr, /: another user can change the files in it; give a folder of your own\n$/);
  }
  assert.deepEqual([...readdirSync(open), ...readdirSync(foreign)], []);
});
