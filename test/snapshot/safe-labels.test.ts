import assert from 'node:assert/strict';
import { test } from 'node:test';
import { safeValue } from '../../src/snapshot/safe-labels.js';

test('no value can imitate the mark of a value that had to be changed', () => {
  const marked = safeValue(`web\x1b`, 128);
  assert.match(marked, /~[0-9a-f]{8}$/);
  assert.notEqual(safeValue(marked, 128), marked);
  assert.equal(safeValue('a~b', 128), 'a~b');
});
