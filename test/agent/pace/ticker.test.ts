import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ticker } from '../../../src/agent/pace/ticker.js';

test('the work runs until the signal is aborted', async () => {
  const stop = new AbortController();
  let times = 0;
  const ticker = new Ticker(() => {
    if (++times === 3) stop.abort();
    return 0;
  });
  await ticker.run(stop.signal);
  assert.equal(times, 3);
  await new Ticker(() => assert.fail('the signal was aborted before the start')).run(stop.signal);
});

test('an error of the work ends the ticker', async () => {
  const { signal } = new AbortController();
  const failing = new Ticker(() => {
    throw new Error('gone');
  });
  await assert.rejects(failing.run(signal), /gone/);
});

test('wakeNow ends a pause; it does nothing before the start and after the end', async () => {
  const stop = new AbortController();
  let times = 0;
  const ticker = new Ticker(() => {
    if (++times === 3) stop.abort();
    return 3_600_000;
  });
  ticker.wakeNow();
  assert.equal(times, 0);
  const ended = ticker.run(stop.signal);
  ticker.wakeNow();
  ticker.wakeNow();
  await ended;
  ticker.wakeNow();
  assert.equal(times, 3);
});
