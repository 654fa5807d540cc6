import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { everyBeat } from '../../system/timers/beat.js';
import { limitYoungGeneration } from './limit-young-generation.js';

/** When the program has been loaded, and its first answers were computed. */
const START_UP_MS = 5_000;
const CHECK_PERIOD_MS = 10_000;
/** Growth of the old generation since the last collection that makes another one worth its time. */
const MAX_GROWTH_BYTES = 5_000_000;
/** A minute. */
const MIN_CHECKS_BETWEEN = 6;
/** Collections for which code has not run before V8 drops it (bytecode_old_age in V8's src/flags). */
const DEFAULT_OLD_AGE = 5;
/** A collection of this much takes about 80 ms. An agent with more has work, and V8 collects in pieces meanwhile. */
const MAX_HEAP_BYTES = 1 << 25;

/**
 * Makes V8 collect garbage when the heap has grown by half since the last collection; by default it waits until the
 * heap has up to four times its size. Under a flood of requests the agent then takes 50 MB less. A scrape of 120,000
 * series costs the same.
 *
 * V8 gives memory back only when it collects everything, which it puts off for hours on an agent with little to do. So
 * this does it after the start, which leaves 7 MB behind, and when the heap has grown by 5 MB, at most once a minute.
 *
 * Much of a program runs only while it starts. The first collection drops the code that did not run before it: 4 MB.
 * Later ones keep code for as long as V8 does by default. If they dropped it, an agent under full load would compile
 * its hot path again after each of them.
 *
 * Such a collection makes V8 shrink the young generation to half a megabyte. That is enough for an agent with few
 * series. With many, it has to grow again.
 */
export function collectGarbageSooner(signal: AbortSignal): void {
  setFlagsFromString('--heap-growing-percent=50');
  setFlagsFromString('--bytecode-old-age=1');
  let limitBytes = 0;
  let checks = 0;
  const collect = () => {
    if (isLarge()) return;
    collectAll();
    limitBytes = oldGenerationBytes() + MAX_GROWTH_BYTES;
    checks = 0;
  };
  const afterStart = setTimeout(() => {
    collect();
    setFlagsFromString(`--bytecode-old-age=${DEFAULT_OLD_AGE}`);
  }, START_UP_MS).unref();
  const stopChecks = everyBeat(CHECK_PERIOD_MS, () => {
    checks++;
    if (isLarge()) limitYoungGeneration();
    else if (checks >= MIN_CHECKS_BETWEEN && oldGenerationBytes() > limitBytes) collect();
  });
  signal.addEventListener('abort', () => {
    stopChecks();
    clearTimeout(afterStart);
  });
}

/** Resident memory of the old generation. */
function oldGenerationBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.physical_space_size ?? 0;
}

function isLarge(): boolean {
  return getHeapStatistics().used_heap_size > MAX_HEAP_BYTES;
}

/** Compacts the heap, too: otherwise V8 leaves up to 5 of 20 MB free between objects. */
function collectAll(): void {
  setFlagsFromString('--expose-gc');
  // Only a context that is made now has the function.
  const collect: () => void = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  setFlagsFromString('--compact-on-every-full-gc');
  collect();
  setFlagsFromString('--no-compact-on-every-full-gc');
}
