import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PrometheusView } from '../../../src/expose/prometheus.js';
import { PROMETHEUS_TEXT } from '../../../src/expose/text-format.js';
import { BufferPool } from '../../../src/web/metrics/buffer-pool.js';
import { ExpositionWriter } from '../../../src/web/metrics/exposition-writer.js';
import { PooledTextWriter } from '../../../src/web/metrics/pooled-text-writer.js';
import { emptySnapshot } from '../../support/agent/empty-snapshot.js';

const MORE_THAN_A_BUFFER = 300_000;

test('text of any length with any characters is written as UTF-8', () => {
  const long = fc.tuple(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 }),
    fc.nat({ max: MORE_THAN_A_BUFFER }),
  );
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    long.map(([text, length]) => text.repeat(Math.ceil(length / text.length))),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
      const writer = new PooledTextWriter(new BufferPool());
      for (const text of pieces) writer.write(text);
      assert.deepEqual(Buffer.concat(writer.pieces), Buffer.concat(pieces.map((text) => Buffer.from(text))));
    }),
    { numRuns: 30 },
  );
});

/** The memory blocks that hold an exposition. */
const memoryOf = ({ plain }: { readonly plain: readonly Buffer[] }) => new Set(plain.map(({ buffer }) => buffer));

function writerOf(vms: () => number): ExpositionWriter {
  const takeSnapshot = () => ({
    ...emptySnapshot(),
    unpaired: Array.from({ length: vms() }, (_, vm) => ({ vm: `vm-${vm}`, layer: 'kvm' as const, count: vm })),
  });
  return new ExpositionWriter(new PrometheusView({ takeSnapshot, version: '1', process: false }));
}

test('buffers of an exposition are reused once all of its readers are done, and not before', async () => {
  const writer = writerOf(() => 20_000);
  const [first] = await Promise.all([writer.request(PROMETHEUS_TEXT), writer.request(PROMETHEUS_TEXT)]);
  const text = Buffer.concat(first.plain);
  assert.ok(memoryOf(first).size > 5);
  first.done();
  const second = await writer.request(PROMETHEUS_TEXT);
  assert.deepEqual(
    [...memoryOf(second)].filter((memory) => memoryOf(first).has(memory)),
    [],
  );
  assert.deepEqual(Buffer.concat(first.plain), text);
  first.done();
  assert.deepEqual(memoryOf(await writer.request(PROMETHEUS_TEXT)), memoryOf(first));
});

test('the pool keeps no more buffers than the latest exposition needed', async () => {
  let vms = 20_000;
  const writer = writerOf(() => vms);
  const long = await writer.request(PROMETHEUS_TEXT);
  long.done();
  vms = 10;
  for (let round = 0; round < 2; round++) (await writer.request(PROMETHEUS_TEXT)).done();
  vms = 20_000;
  const again = await writer.request(PROMETHEUS_TEXT);
  const reused = [...memoryOf(again)].filter((memory) => memoryOf(long).has(memory));
  assert.equal(reused.length, 1);
});
