import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getHeapStatistics } from 'node:v8';
import { collectGarbageSooner } from '../../../src/commands/serving/collect-garbage.js';

const MIB = 1 << 20;

function residentBytes(): number {
  return getHeapStatistics().total_physical_size;
}

/** Makes objects that nothing refers to afterwards. Returns the size of the heap with them. */
function leaveGarbage(): number {
  const objects = Array.from({ length: 150_000 }, (_, index) => ({ index, text: `object ${index}` }));
  assert.equal(objects.length, 150_000);
  return residentBytes();
}

// In a file of its own: what other tests leave behind would be collected, too.
test('a heap that has grown by 5 MB is collected, at most once a minute', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  // A timer that is set by another one counts from the end of a tick.
  const pass = (seconds: number) => {
    for (let second = 0; second < seconds; second++) t.mock.timers.tick(1000);
  };
  const stop = new AbortController();
  collectGarbageSooner(stop.signal);
  pass(5);
  const before = residentBytes();
  const grown = leaveGarbage();
  assert.ok(grown >= before + 6 * MIB, `${grown} bytes with objects, ${before} without`);
  pass(30);
  assert.ok(residentBytes() >= grown, 'collected within half a minute');
  pass(40);
  const collected = residentBytes();
  assert.ok(collected <= grown - 6 * MIB, `${collected} bytes after a minute, ${grown} with objects`);
  stop.abort();
});
