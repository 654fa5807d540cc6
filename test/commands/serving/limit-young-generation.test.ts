import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { startDemo } from '../../support/agent/start-demo.js';
import { endAll, endLater } from '../../support/end-later.js';
import { Samples } from '../../support/prometheus/samples.js';

afterEach(endAll);

/** Two halves of 4 MB, and a page of V8 (256 KiB) each. By default, they grow to 32 MB in Node.js 20. */
const MAX_YOUNG_BYTES = 2 * ((4 << 20) + (1 << 18));
const SCRAPES = 100;

test('the young generation of a program that serves stays small, whatever it does', async () => {
  const demo = await startDemo();
  endLater(demo.stop);
  let young = 0;
  for (let scrape = 0; scrape < SCRAPES; scrape++) {
    const samples = new Samples(await (await fetch(`http://${demo.address}/metrics`)).text());
    young = Math.max(young, samples.sum('nodejs_heap_space_size_total_bytes', { space: 'new' }));
  }
  assert.ok(young > 0 && young <= MAX_YOUNG_BYTES, `${young} bytes`);
});
