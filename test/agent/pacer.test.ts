import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pacer } from '../../src/agent/pacer.js';

const MIB = 1 << 20;

/** Milliseconds from a drain to the next, as ticks go. */
function pauseAfter(pace: Pacer, bytes: number): number {
  pace.drained(bytes, false, 0);
  let nowMs = 0;
  do nowMs += pace.pauseMs;
  while (!pace.isDue(nowMs));
  return nowMs;
}

/** The pause after many drains that each read so much of a buffer of 16 MiB. */
function pauseAt(bytes: number): number {
  const pace = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pace, bytes);
  return pauseAfter(pace, bytes);
}

test('a drain that finds a buffer an eighth full or more is followed sooner by the next', () => {
  assert.equal(pauseAt(4 * MIB), 10);
  const pace = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pace, 0);
  const quiet = pauseAfter(pace, 0);
  const full = pauseAfter(pace, 4 * MIB);
  assert.ok(full <= 0.6 * quiet, `${full} ms after ${quiet} ms`);
});

test('under a load that the buffers bear easily drains are seldom, but more than one a second', () => {
  for (const bytes of [0, MIB / 2]) {
    assert.ok(pauseAt(bytes) >= 300);
    assert.ok(pauseAt(bytes) <= 1000);
  }
});

test('ticks are frequent enough to see a VM that lives for a moment, also where drains are seldom', () => {
  const pace = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pace, 0);
  assert.ok(pace.pauseMs >= 50);
  assert.ok(pace.pauseMs <= 150);
});

test('where nothing has been started for long, ticks are fewer, until something is', () => {
  const pace = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pace, 0);
  const pauses = [0, 29_000, 31_000, 0].map((ms) => {
    pace.idleFor(ms);
    return pace.pauseMs;
  });
  assert.deepEqual(pauses, [100, 100, 250, 100]);
  pace.idleFor(60_000);
  pace.wakeSoon();
  assert.ok(pace.pauseMs <= 30);
});

test('whoever is told of new VMs does not look for them between drains', () => {
  const pace = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pace, 0);
  pace.watching();
  assert.equal(pace.pauseMs, 500);
  pace.idleFor(0);
  assert.equal(pace.pauseMs, 100);
});

test('a drain that was not through is followed by another one at once', () => {
  const pace = new Pacer(16 * MIB);
  pace.drained(0, true, 1000);
  assert.deepEqual([pace.pauseMs, pace.isDue(1000)], [0, true]);
  pace.drained(0, false, 1001);
  assert.deepEqual([pace.pauseMs > 0, pace.isDue(1001)], [true, false]);
});

test('drains follow each other closely while a VM starts', () => {
  const pace = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pace, 0);
  const quiet = pauseAfter(pace, 0);
  pace.wakeSoon();
  assert.ok(pauseAfter(pace, 0) <= 30);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pace, 0);
  assert.equal(pauseAfter(pace, 0), quiet);
});
