import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace, repeat } from '../src/pace.js';

const MIB = 1 << 20;

/** The pause after a few drains that each read so much of a buffer of 16 MiB. */
function pauseAt(bytes: number, drains = 100): number {
  const pace = new Pace(16 * MIB);
  for (let drain = 0; drain < drains; drain++) pace.adapt(bytes);
  return pace.pauseMs;
}

test('a drain that finds a buffer an eighth full or more is followed sooner by the next', () => {
  assert.equal(pauseAt(4 * MIB), 10);
  const pace = new Pace(16 * MIB);
  pace.adapt(0);
  const quiet = pace.pauseMs;
  pace.adapt(4 * MIB);
  assert.equal(pace.pauseMs, quiet / 2);
});

test('under a load that the buffers bear easily drains are seldom, but more than one a second', () => {
  assert.ok(pauseAt(MIB / 2) >= 300);
  assert.ok(pauseAt(MIB / 2) <= 1000);
});

test('where little happens drains are frequent enough to see a VM that lives for a moment', () => {
  assert.ok(pauseAt(0) >= 50);
  assert.ok(pauseAt(0) <= 500);
});

test('drains follow each other closely while a VM starts', () => {
  const pace = new Pace(16 * MIB);
  pace.adapt(0);
  const quiet = pace.pauseMs;
  pace.hurry();
  assert.ok(pace.pauseMs <= 30);
  for (let drain = 0; drain < 100; drain++) pace.adapt(0);
  assert.equal(pace.pauseMs, quiet);
});

test('repeat goes on until it is told to stop', async () => {
  const stop = new AbortController();
  let times = 0;
  await repeat(stop.signal, () => {
    if (++times === 3) stop.abort();
    return 0;
  });
  assert.equal(times, 3);
  await repeat(stop.signal, () => assert.fail('told to stop before it began'));
});

test('repeat ends with the error of what it does', async () => {
  const { signal } = new AbortController();
  const failing = repeat(signal, () => {
    throw new Error('gone');
  });
  await assert.rejects(failing, /gone/);
});
