import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PrometheusView } from '../../../src/expose/prometheus.js';
import { PROMETHEUS_TEXT } from '../../../src/expose/text-format.js';
import { ChunkPool, ChunkWriter } from '../../../src/web/metrics/chunks.js';
import { Scrapes } from '../../../src/web/metrics/scrapes.js';
import { emptySnapshot } from '../../support/agent/empty-snapshot.js';

const MORE_THAN_A_CHUNK = 300_000;

test('text of any length and any characters is written as it is', () => {
  const long = fc.tuple(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 }),
    fc.nat({ max: MORE_THAN_A_CHUNK }),
  );
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    long.map(([text, length]) => text.repeat(Math.ceil(length / text.length))),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
      const writer = new ChunkWriter(new ChunkPool());
      for (const text of pieces) writer.write(text);
      assert.deepEqual(Buffer.concat(writer.pieces), Buffer.concat(pieces.map((text) => Buffer.from(text))));
    }),
    { numRuns: 30 },
  );
});

/** The memory that each of its pieces is in. */
const memoryOf = ({ plain }: { readonly plain: readonly Buffer[] }) => new Set(plain.map(({ buffer }) => buffer));

function scrapesOf(vms: () => number): Scrapes {
  const takeSnapshot = () => ({
    ...emptySnapshot(),
    unpaired: Array.from({ length: vms() }, (_, vm) => ({ vm: `vm-${vm}`, layer: 'kvm' as const, count: vm })),
  });
  return new Scrapes(new PrometheusView({ takeSnapshot, version: '1', process: false }));
}

test('memory of an exposition is used again once all of its readers are done, and not before', async () => {
  const scrapes = scrapesOf(() => 20_000);
  const [first] = await Promise.all([scrapes.take(PROMETHEUS_TEXT), scrapes.take(PROMETHEUS_TEXT)]);
  const text = Buffer.concat(first.plain);
  assert.ok(memoryOf(first).size > 5);
  first.done();
  const second = await scrapes.take(PROMETHEUS_TEXT);
  assert.deepEqual(
    [...memoryOf(second)].filter((memory) => memoryOf(first).has(memory)),
    [],
  );
  assert.deepEqual(Buffer.concat(first.plain), text);
  first.done();
  assert.deepEqual(memoryOf(await scrapes.take(PROMETHEUS_TEXT)), memoryOf(first));
});

test('what shorter expositions do not need is not kept', async () => {
  let vms = 20_000;
  const scrapes = scrapesOf(() => vms);
  const long = await scrapes.take(PROMETHEUS_TEXT);
  long.done();
  vms = 10;
  for (let round = 0; round < 2; round++) (await scrapes.take(PROMETHEUS_TEXT)).done();
  vms = 20_000;
  const again = await scrapes.take(PROMETHEUS_TEXT);
  const reused = [...memoryOf(again)].filter((memory) => memoryOf(long).has(memory));
  assert.equal(reused.length, 1);
});
