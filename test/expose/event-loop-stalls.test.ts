import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventLoopStalls } from '../../src/expose/event-loop-stalls.js';

function stall(ms: number): void {
  for (const endMs = performance.now() + ms; performance.now() < endMs; );
}

test('a stall is reported with its length, for one or two minutes', async () => {
  let nowMs = 0;
  const stalls = new EventLoopStalls(() => nowMs);
  await sleep(200);
  stall(400);
  await sleep(100);
  // The machine can add to a stall, and the measurement can miss 50 ms of it.
  assert.ok(stalls.longestSeconds() >= 0.345, String(stalls.longestSeconds()));
  nowMs = 60_000;
  assert.ok(stalls.longestSeconds() >= 0.345, 'at the end of the first minute');
  nowMs = 119_000;
  assert.ok(stalls.longestSeconds() >= 0.345, 'in the second minute');
  nowMs = 120_000;
  stalls.longestSeconds();
  assert.ok(stalls.longestSeconds() < 0.345, 'in the third minute');
});
