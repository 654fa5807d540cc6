import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { collectGarbageSooner } from '../../../src/commands/serving/collect-garbage.js';
import { limitYoungGeneration } from '../../../src/commands/serving/limit-young-generation.js';
import { HANG_MS } from '../../support/patience.js';

const MIB = 1 << 20;

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? Number.NaN;
}

/** Collects everything until V8 shrinks the young generation, which it does once little is allocated. */
async function shrink(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  for (const endMs = Date.now() + HANG_MS; youngBytes() >= 4 * MIB; await sleep(500)) {
    collect();
    assert.ok(Date.now() < endMs, `it does not shrink: ${youngBytes()} bytes`);
  }
}

test('a young generation that shrank while the program was idle grows again once the heap is large', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  limitYoungGeneration();
  const stop = new AbortController();
  collectGarbageSooner(stop.signal);
  await shrink();
  const series = Array.from({ length: 12 }, (_, index) => new Array(MIB / 2).fill(index));
  t.mock.timers.tick(60_000);
  assert.ok(youngBytes() >= 4 * MIB, `${youngBytes()} bytes beside ${series.length} large objects`);
  stop.abort();
});
