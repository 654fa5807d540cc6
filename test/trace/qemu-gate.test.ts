import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QemuGate } from '../../src/trace/qemu-gate.js';
import type { TraceSink } from '../../src/trace/sink.js';
import { CallSink } from '../support/trace/call-sink.js';
import { newVocabulary } from '../support/trace/vocabulary.js';

const NAMES_AND_ADDRESSES = [
  'qemuDevice 5 0x10 disk',
  'qemuRegion 5 0x60 i8042-data',
  'setIoeventfd 5 pio 0xc050 true',
];

function callAll(sink: TraceSink): void {
  sink.tracepoint(1, 0, 5, 0);
  sink.vmExit(1, 0, 5, 0, 0, 0);
  sink.gapAhead(0);
  sink.qemuEvent(1, 5, 0);
  sink.qemuRunExit(1, 5, 0, 0);
  sink.qemuSignal(1, 5, 0, 0x10);
  sink.qemuDevice(5, 0x10, 'disk');
  sink.qemuRegion(5, 0x60, 'i8042-data');
  sink.setIoeventfd(5, false, 0xc050, true);
  sink.lost(0, 3);
  sink.malformed('line');
}

test('a closed gate passes on names and addresses alone', () => {
  const sink = new CallSink(newVocabulary());
  callAll(new QemuGate(sink));
  assert.deepEqual(sink.calls, NAMES_AND_ADDRESSES);
});

test("an open gate passes on what QEMU's traces say, and no event of the kernel", () => {
  const sink = new CallSink(newVocabulary());
  const gate = new QemuGate(sink);
  gate.open = true;
  callAll(gate);
  assert.deepEqual(sink.calls, [
    'qemuEvent 1 5 other',
    'qemuRunExit 1 5 0 other',
    'qemuSignal 1 5 0 0x10',
    ...NAMES_AND_ADDRESSES,
    'lost 0 3',
    'malformed line',
  ]);
  assert.deepEqual(sink.gaps, []);
});
