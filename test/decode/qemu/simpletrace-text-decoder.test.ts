import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimpletraceTextDecoder } from '../../../src/decode/qemu/simpletrace-text-decoder.js';
import { CallSink } from '../../support/trace/call-sink.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

function callsOf(text: string): string[] {
  const vocabulary = newVocabulary();
  const sink = new CallSink(vocabulary);
  const decoder = new SimpletraceTextDecoder(vocabulary, sink);
  decoder.push(Buffer.from(text));
  decoder.end();
  return sink.calls;
}

// As Formatter.catchall() of QEMU's scripts/simpletrace.py prints them.
const ROWS: [line: string, calls: string[]][] = [
  [
    'kvm_run_exit 12.345 pid=4242 cpu_index=0x1 reason=0x2',
    ['qemuEvent 12345 4242 kvm_run_exit', 'qemuRunExit 12345 4242 1 KVM_EXIT_IO'],
  ],
  ['kvm_run_exit 0.000 cpu_index=0x0 reason=0x6', ['qemuEvent 0 0 kvm_run_exit', 'qemuRunExit 0 0 0 KVM_EXIT_MMIO']],
  [
    'kvm_run_exit 0.000 pid=1 cpu_index=0xffffffffffffffff reason=0x2c',
    ['qemuEvent 0 1 kvm_run_exit', 'qemuRunExit 0 1 -1 44'],
  ],
  [
    'virtio_queue_notify 0.118 pid=4242 vdev=0x5555dcf8d400 n=0x0 vq=0x7f08cffd9010',
    ['qemuEvent 118 4242 virtio_queue_notify', 'qemuSignal 118 4242 0 0x5555dcf8d400'],
  ],
  [
    "kvm_irqchip_add_msi_route 3.070 pid=7 dev=b'virtio-blk-pci' vector=0x1 virq=0x18",
    ['qemuEvent 3070 7 kvm_irqchip_add_msi_route', 'qemuDevice 7 0x0 virtio-blk'],
  ],
  [
    'memory_region_ops_write 0.001 pid=7 cpu_index=0x0 mr=0x55be8a87e2e0 addr=0xfebf0010 value=0x78 size=0x1 name=e1000 mmio',
    ['qemuEvent 1 7 memory_region_ops_write', 'qemuRegion 7 0xfebf0010 e1000 mmio'],
  ],
  ['Dropped_Event 0.250 pid=4242 num_events_dropped=0x5', ['lost -1 5']],
  ['kvm_io_window_exit 0.250 pid=4242', ['qemuEvent 250 4242 kvm_io_window_exit']],
  ['kvm_run_exit 0.250 pid=4242', ['qemuEvent 250 4242 kvm_run_exit', 'malformed arguments']],
  ['kvm_run_exit cpu_index 0, reason 2', []],
  ['took 0.250 seconds', []],
  ['', []],
];

for (const [line, calls] of ROWS)
  test(`the line "${line}"`, () => {
    assert.deepEqual(callsOf(`${line}\n`), calls);
  });

test('times are those of the events before, added up', () => {
  const calls = callsOf('a_b 0.000 pid=1\na_b 2.500 pid=1\na_b -1.000 pid=1\n');
  assert.deepEqual(calls, ['qemuEvent 0 1 a_b', 'qemuEvent 2500 1 a_b', 'qemuEvent 1500 1 a_b']);
});
