import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SourceCounts } from '../../../src/count/counters/source-counts.js';

test('a sum of lost events stays an exact integer, however much a source claims', () => {
  const counts = new SourceCounts();
  for (let i = 0; i < 100; i++) counts.addLost(-1, 2 ** 48);
  counts.addLost(0, 3);
  assert.deepEqual(
    [...counts.lost],
    [
      [-1, 2 ** 53 - 1],
      [0, 3],
    ],
  );
});
