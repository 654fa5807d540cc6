import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { updated } from '../docs/readme.js';
import { ROOT } from './support/fixtures.js';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

test('the tables of the README are what the code says (else: npm run docs)', () => {
  assert.equal(README, updated(README));
});

test('a README that lost its markers is noticed', () => {
  assert.throws(
    () => updated(README.replace('<!-- /options -->', '')),
    /no <!-- options --> \.\.\. <!-- \/options -->/,
  );
});
