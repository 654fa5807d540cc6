import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KNOWN_NAMES } from '../../src/agent/known-names.js';
import { SourceCounts } from '../../src/count/counters/source-counts.js';
import { Ledger } from '../../src/count/ledger.js';
import { MAX_REASONS } from '../../src/count/vcpu/counter-layout.js';
import { FtraceTextDecoder } from '../../src/decode/ftrace/text-decoder.js';
import { QemuLogDecoder } from '../../src/decode/qemu/log-decoder.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';

const newLedger = () => new Ledger({ ownerOf: () => ({ vm: undefined, vcpu: '0' }) }, { knownNames: KNOWN_NAMES });

function log(ledger: Ledger, vm: string, lines: readonly string[]): void {
  const counts = ledger.qemu.add('log', { labelOf: () => vm });
  new QemuLogDecoder(ledger.vocabulary, counts).push(Buffer.from(lines.map((line) => `${line}\n`).join('')));
}

/** The same in a file of its own, as the agent reads it. */
function followed(ledger: Ledger, vm: string, lines: readonly string[]): void {
  const vocabulary = ledger.qemu.vocabularyOfFile(256);
  const counts = ledger.qemu.add('log', { labelOf: () => vm }, new SourceCounts(), vocabulary);
  new QemuLogDecoder(vocabulary, counts).push(Buffer.from(lines.map((line) => `${line}\n`).join('')));
}

const forged = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i));

test('forged lines of a log do not turn the reason of another VM into other', () => {
  const ledger = newLedger();
  log(
    ledger,
    'evil',
    forged(6000, (i) => `kvm_run_exit cpu_index 0, reason ${1000 + i}`),
  );
  log(
    ledger,
    'evil',
    forged(6000, (i) => `kvm_run_exit cpu_index 0, reason ${i}`),
  );
  const kernel = new FtraceTextDecoder(ledger.vocabulary, ledger.kernelSource('test'));
  const head = ' CPU 0/KVM-1 [000] d..1. 1.000001: ';
  kernel.push(Buffer.from(`${head}kvm_userspace_exit: reason KVM_EXIT_INTERNAL_ERROR (17)\n`));
  kernel.push(Buffer.from(`${head}kvm_exit: vcpu 0 reason EPT_MISCONFIG rip 0x1 info1 0x0 info2 0x0\n`));
  kernel.push(Buffer.from(`${head}kvm_userspace_exit: reason restart (4)\n`));
  // A reason that only a future kernel has finds room, too: no log can use it up.
  kernel.push(Buffer.from(`${head}kvm_exit: vcpu 0 reason NEW_REASON rip 0x1 info1 0x0 info2 0x0\n`));
  const reasons = [...takeSnapshot(ledger.totals()).exits].filter(({ vm }) => vm === '').map(({ reason }) => reason);
  assert.deepEqual(reasons.sort(), ['EPT_MISCONFIG', 'KVM_EXIT_INTERNAL_ERROR', 'NEW_REASON', 'restart']);
});

test('one file adds a bounded number of names, and takes no room from any other file', () => {
  const ledger = newLedger();
  for (let file = 0; file < 100; file++)
    followed(
      ledger,
      'evil',
      forged(300, (i) => `evil_event${file}_${i} x`),
    );
  followed(ledger, 'good', ['some_event x', 'virtio_queue_notify vdev 0x1 n 0 vq 0x2']);
  const events = takeSnapshot(ledger.totals()).qemuEvents;
  const of = (name: string) => [...events].filter(({ vm }) => vm === name);
  assert.deepEqual(
    of('good')
      .map(({ event }) => event)
      .sort(),
    ['some_event', 'virtio_queue_notify'],
  );
  const evil = of('evil');
  assert.equal(evil.length, 100 * 256 + 1);
  assert.equal(evil.find(({ event }) => event === 'other')?.count, 100 * (300 - 256));
  assert.equal(
    evil.reduce((sum, { count }) => sum + count, 0),
    30_000,
  );
});

test('the known reasons and as many unknown ones fit into the counters of a vCPU', () => {
  assert.ok((KNOWN_NAMES.reasons?.size ?? 0) + 256 < MAX_REASONS, String(KNOWN_NAMES.reasons?.size));
});
