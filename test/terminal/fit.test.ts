import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fit, wrap } from '../../src/terminal/fit.js';
import { cpuMs } from '../support/cpu-ms.js';

const FITTED: readonly (readonly [text: string, columns: number, fitted: string])[] = [
  ['web-1', 8, 'web-1   '],
  ['web-1', 5, 'web-1'],
  ['web-server', 5, 'web-…'],
  ['', 3, '   '],
  ['x', 0, ''],
  ['xy', 1, '…'],
  // Two columns each (Unicode Standard Annex 11).
  ['虚拟机', 6, '虚拟机'],
  ['虚拟机', 5, '虚拟…'],
  ['虚拟机', 4, '虚… '],
  // A letter with a combining accent is one column, and is not torn apart.
  ['e\u0301e\u0301e\u0301', 2, 'e\u0301…'],
  ['a\u001b[2Jb\n', 8, 'a\ufffd[2Jb\ufffd '],
];

for (const [text, columns, fitted] of FITTED)
  test(`${JSON.stringify(text)} in ${columns} columns`, () => assert.equal(fit(text, columns), fitted));

test('figures are aligned to the right', () => assert.equal(fit('12', 5, 'right'), '   12'));

test('text is broken between words', () => {
  assert.deepEqual(wrap('one two three', 9, '  '), ['  one two', '  three']);
  assert.deepEqual(wrap('a\u001b[2Jb', 80), ['a\ufffd[2Jb']);
});

test('a name without end takes no time', () => {
  const name = 'e\u0301'.repeat(1_000_000);
  assert.ok(cpuMs(() => void fit(name, 20)) < 1000);
});
