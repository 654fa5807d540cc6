import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KNOWN_NAMES } from '../../../src/agent/known-names.js';
import { sumCounters } from '../../../src/count/counters/counters.js';
import { Ledger } from '../../../src/count/ledger.js';
import type { QemuCounts } from '../../../src/count/qemu/qemu-counts.js';
import { QemuLogDecoder } from '../../../src/decode/qemu/log-decoder.js';

const FILES = 100;
const LINES = 4000;

function decode(ledger: Ledger, text: string): QemuCounts {
  const counts = ledger.qemu.add('log', { labelOf: () => 'a' });
  new QemuLogDecoder(ledger.vocabulary, counts).push(Buffer.from(text));
  return counts;
}

const events = (counts: QemuCounts) => [...counts.events.values()].reduce((sum, own) => sum + sumCounters(own), 0);
/** Bytes of the counters by thread and event, or vCPU and reason. */
const bytes = ({ events, runExits }: QemuCounts) =>
  [...events.values(), ...[...runExits.values()].flatMap((byCpu) => [...byCpu.values()])].reduce(
    (sum, { byteLength }) => sum + byteLength,
    0,
  );
const lines = (line: (i: number) => string) => Array.from({ length: LINES }, (_, i) => `${line(i)}\n`).join('');

test('a log of many threads, each with an event of its own, takes bounded memory, and every event counts', () => {
  const ledger = new Ledger({ ownerOf: () => ({ vm: undefined, vcpu: '' }) }, { knownNames: KNOWN_NAMES });
  // 3000 names in the shared table, as a QEMU with all events on would leave them.
  ledger.vocabulary.qemuEvents.reserve(Array.from({ length: 3000 }, (_, i) => `name_${i}`));
  for (let i = 0; i < 3000; i++) ledger.vocabulary.qemuEvents.id(`name_${i}`);
  const counts = decode(
    ledger,
    lines((i) => `${i + 1}@1.0:name_${2999 - (i % 100)} x`),
  );
  assert.equal(events(counts), LINES);
  assert.ok(bytes(counts) < 1.5e6, `${bytes(counts)} bytes`);
});

test('many such logs together take bounded memory, and a log that comes later is counted by thread', () => {
  const ledger = new Ledger({ ownerOf: () => ({ vm: undefined, vcpu: '' }) }, { knownNames: KNOWN_NAMES });
  const evil = lines((i) => `${i + 1}@1.0:kvm_run_exit cpu_index ${i}, reason ${i % 256}`);
  let sum = 0;
  for (let file = 0; file < FILES; file++) sum += bytes(decode(ledger, evil));
  assert.ok(sum < 60e6, `${sum} bytes`);
  const good = decode(ledger, '7@1.0:kvm_run_exit cpu_index 3, reason 2\n');
  assert.equal(good.runExits.get(7)?.get(3)?.[ledger.vocabulary.reasons.id('KVM_EXIT_IO')], 1);
});

test('addresses and devices of a log are bounded together, not by thread', () => {
  const ledger = new Ledger({ ownerOf: () => ({ vm: undefined, vcpu: '' }) }, { knownNames: KNOWN_NAMES });
  const counts = decode(
    ledger,
    Array.from({ length: 200 }, (_, thread) =>
      Array.from({ length: 500 }, (_, i) => {
        const address = (0x10000000 + i * 4096).toString(16);
        return `${thread}@1.0:memory_region_ops_read cpu 1 mr 0x1 addr 0x${address} value 0x0 size 4 name 'x'\n`;
      }).join(''),
    ).join(''),
  );
  const regions = [...counts.regions.values()].reduce((sum, { size }) => sum + size, 0);
  assert.ok(regions > 100 && regions < 10_000, `${regions} of 100,000 regions`);
  assert.equal(events(counts), 100_000);
});
