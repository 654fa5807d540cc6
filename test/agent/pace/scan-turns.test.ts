import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScanTurns } from '../../../src/agent/pace/scan-turns.js';

/** Times of the scans that take place, of those that are due every two seconds. */
function scansOf(turns: ScanTurns, isWatched: boolean, fromSeconds: number, toSeconds: number): number[] {
  const scans: number[] = [];
  for (let seconds = fromSeconds; seconds < toSeconds; seconds += 2)
    if (turns.take(isWatched, seconds * 1000)) scans.push(seconds);
  return scans;
}

test('a host is scanned every ten seconds, once nothing has happened for ten seconds', () => {
  const turns = new ScanTurns(0);
  assert.deepEqual(scansOf(turns, true, 2, 60), [2, 4, 6, 8, 10, 20, 30, 40, 50]);
});

test('a host on which no watcher reports VMs is scanned every two seconds', () => {
  const turns = new ScanTurns(0);
  scansOf(turns, true, 2, 30);
  assert.deepEqual(scansOf(turns, false, 30, 40), [30, 32, 34, 36, 38]);
});

test('a VM that is being created, whatever becomes of it, brings scans every two seconds for a while', () => {
  const turns = new ScanTurns(0);
  scansOf(turns, true, 2, 34);
  turns.stir(33_500);
  assert.deepEqual(scansOf(turns, true, 34, 60), [34, 36, 38, 40, 42, 52]);
});
