import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { expandGlob } from '../../../src/source/files/glob.js';

test('patterns match the paths that a shell would match', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'glob-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'a/b'), { recursive: true });
  mkdirSync(join(folder, 'c'));
  for (const name of ['a/1.log', 'a/b/2.log', 'c/3.log', 'c/.4.log', 'c/5.txt', 'c/[x].log'])
    writeFileSync(join(folder, name), '');
  const names = (pattern: string) => expandGlob(join(folder, pattern)).map((path) => path.slice(folder.length + 1));
  assert.deepEqual(names('*/*.log'), ['a/1.log', 'c/3.log', 'c/[x].log']);
  assert.deepEqual(names('c/.*.log'), ['c/.4.log']);
  assert.deepEqual(names('c/?.*'), ['c/3.log', 'c/5.txt']);
  assert.deepEqual(names('[!c]/*/2.log'), ['a/b/2.log']);
  assert.deepEqual(names('c/[[]x].log'), ['c/[x].log']);
  assert.deepEqual(names('c/none.log'), ['c/none.log']);
  const problems: string[] = [];
  assert.deepEqual(
    expandGlob(join(folder, 'none/*.log'), (path) => problems.push(path)),
    [],
  );
  assert.deepEqual(problems, [join(folder, 'none')]);
});

test('a folder with thousands of folders is looked at in part, and that is reported once', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'glob-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (let index = 0; index < 6000; index++) mkdirSync(join(folder, `d${index}/x`), { recursive: true });
  for (const [pattern, most] of [
    ['*', 6000],
    ['*/x', 5000],
    ['*/x*', 2300],
    ['*/x/y*', 2300],
  ] as const) {
    const problems: string[] = [];
    const found = expandGlob(join(folder, pattern), (_, error) => problems.push(String(error)));
    assert.ok(found.length <= most, `${pattern}: ${found.length}`);
    if (pattern === '*') assert.deepEqual([found.length, problems], [most, []]);
    else assert.deepEqual(problems, [`AgentError: ${folder}: only 20000 entries were looked at`], pattern);
  }
});
