/** Arguments that `record` refuses before it touches the kernel. Recording itself is tested in test/live. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runAgent } from '../support/agent/run-agent.js';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'record-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const REFUSED: readonly { what: string; args: (dir: string) => string[]; says: RegExp }[] = [
  { what: 'no directory', args: () => [], says: /record needs --output=DIR \(-o DIR\)/ },
  { what: '-o without a value', args: () => ['-o'], says: /-o needs a value: DIR/ },
  { what: 'a directory that is not empty', args: (dir) => ['-o', dir], says: /is not empty; give a directory/ },
  { what: 'a file', args: (dir) => ['-o', join(dir, 'x')], says: /x: / },
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
  test(`record refuses ${what}, and leaves no directory behind`, (t) => {
    const dir = folder(t);
    writeFileSync(join(dir, 'x'), '');
    const { status, stderr, stdout } = runAgent('record', ...args(dir));
    assert.equal(status, 2, stderr);
    assert.match(stderr, says);
    assert.equal(stdout, '');
    assert.deepEqual(readdirSync(dir), ['x']);
  });
}
