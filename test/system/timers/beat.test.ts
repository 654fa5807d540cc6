import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyBeat, onBeat } from '../../../src/system/timers/beat.js';

/** The times at which a timer fires that is started again after each piece of work. */
function times(pauseMs: number, startMs: number, workMs: number, count: number): number[] {
  let nowMs = startMs;
  return Array.from({ length: count }, () => {
    nowMs += onBeat(pauseMs, workMs, nowMs);
    const firedMs = nowMs;
    nowMs += workMs;
    return firedMs;
  });
}

test('timers that were started at different times end together', () => {
  assert.deepEqual(times(500, 123, 2, 4), [500, 1000, 1500, 2000]);
  assert.deepEqual(times(2000, 789, 3, 3), [2000, 4000, 6000]);
  assert.deepEqual(times(5000, 456, 1, 3), [5000, 10_000, 15_000]);
});

test('a timer that fires a millisecond early does not fire again at once', () => {
  for (const pauseMs of [500, 1000, 10_000]) assert.equal(onBeat(pauseMs, 0, 7 * pauseMs - 1), pauseMs + 1);
});

test('a pause is hardly longer than asked for, and never of no length', () => {
  for (let nowMs = 0; nowMs < 2000; nowMs += 7) {
    const pauseMs = onBeat(500, 0, nowMs);
    assert.ok(pauseMs > 0 && pauseMs <= 505, `${pauseMs} ms at ${nowMs}`);
  }
});

test('short pauses, and pauses after long work, are as long as asked for', () => {
  assert.equal(onBeat(400, 0, 123), 400);
  assert.deepEqual(times(5000, 5000, 140, 3), [10_000, 15_140, 20_280]);
});

test('work is done again and again until it is ended, also by itself', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 300;
  t.mock.method(performance, 'now', () => nowMs);
  const pass = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 100) {
      nowMs += 100;
      t.mock.timers.tick(100);
    }
  };
  const doneMs: number[] = [];
  const stop = everyBeat(2000, () => {
    doneMs.push(nowMs);
    if (doneMs.length === 3) stop();
  });
  pass(10_000);
  assert.deepEqual(doneMs, [2000, 4000, 6000]);
  const stopAtOnce = everyBeat(2000, () => assert.fail('it was ended'));
  stopAtOnce();
  pass(5000);
});
