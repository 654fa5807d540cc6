import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ticker } from '../../src/agent/ticker.js';

test('a repetition goes on until it is told to stop', async () => {
  const stop = new AbortController();
  let times = 0;
  const ticks = new Ticker(() => {
    if (++times === 3) stop.abort();
    return 0;
  });
  await ticks.run(stop.signal);
  assert.equal(times, 3);
  await new Ticker(() => assert.fail('told to stop before it began')).run(stop.signal);
});

test('a repetition ends with the error of what it does', async () => {
  const { signal } = new AbortController();
  const failing = new Ticker(() => {
    throw new Error('gone');
  });
  await assert.rejects(failing.run(signal), /gone/);
});

test('a pause of a repetition is ended by haste, before and after there is none', async () => {
  const stop = new AbortController();
  let times = 0;
  const ticks = new Ticker(() => {
    if (++times === 3) stop.abort();
    return 3_600_000;
  });
  ticks.wakeNow();
  assert.equal(times, 0);
  const ended = ticks.run(stop.signal);
  ticks.wakeNow();
  ticks.wakeNow();
  await ended;
  ticks.wakeNow();
  assert.equal(times, 3);
});
