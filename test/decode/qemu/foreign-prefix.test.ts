/** QEMU's lines behind what other programs put before them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QemuLogDecoder } from '../../../src/decode/qemu/log-decoder.js';
import { CallSink } from '../../support/trace/call-sink.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

function callsOf(text: string): string[] {
  const vocabulary = newVocabulary();
  const sink = new CallSink(vocabulary);
  const decoder = new QemuLogDecoder(vocabulary, sink);
  decoder.push(Buffer.from(text));
  decoder.end();
  return sink.calls.filter((call) => !call.startsWith('qemuDevice'));
}

const PREFIXES = [
  '>> ',
  '> > ',
  '    ',
  '\t',
  '     1\t',
  '12:',
  'vm1.log:',
  './logs/vm1.log:12:',
  'web-1  | ',
  '[pod/virt-launcher-a/compute] ',
  'Nov 25 19:00:01 host1 qemu-system-x86_64[15268]: ',
  'Nov  5 19:00:01 host1 qemu-kvm: ',
  '2026-11-25T19:00:01+0100 host1 qemu-system-x86_64[15268]: ',
  '2026-11-25T19:00:01.123456+01:00 host1 qemu-kvm[15268]: ',
  '<30>1 2026-11-25T19:00:01.003Z host1 qemu 15268 - - ',
  '2026-11-25T19:00:01.123456789Z stderr F ',
  '2026-11-25T19:00:01.1234567Z ',
  '2026-11-25T19:00:01.1Z qemu-system-x86_64: ',
  '[2026-11-25T19:00:01.123Z] ',
  '19:00:01  ',
  '19:00:01.123 INFO  [qemu] stderr: ',
  '[120139718 137.127269] ',
  'MESSAGE=',
  '    MESSAGE=',
  'time="2026-11-25T19:00:01Z" level=info msg="',
  '<code>',
];

for (const prefix of PREFIXES) {
  test(`events behind "${prefix.trim()}"`, () => {
    const tail = prefix.endsWith('"') ? '"' : '';
    const text = [
      'kvm_run_exit cpu_index 1, reason 2',
      '7022@1567775824.012200:kvm_run_exit cpu_index 0, reason 6',
      'virtio_queue_notify vdev 0x5555dcf8d400 n 0 vq 0x7f08cffd9010',
      'qemu-system-x86_64: warning: no event',
    ];
    const calls = callsOf(text.map((line) => `${prefix}${line}${tail}\n`).join(''));
    const isDated = /^\d{4}-[^ ]*Z $/.test(prefix);
    assert.deepEqual(calls.slice(2, 4), [
      'qemuEvent 1567775824012200000 7022 kvm_run_exit',
      'qemuRunExit 1567775824012200000 7022 0 KVM_EXIT_MMIO',
    ]);
    const own = [...calls.slice(0, 2), ...calls.slice(4)].map((call) =>
      call.replace(/ (?:NaN|\d{19}) 0 /, isDated ? ' ' : ' '),
    );
    assert.deepEqual(own, [
      'qemuEvent kvm_run_exit',
      'qemuRunExit 1 KVM_EXIT_IO',
      'qemuEvent virtio_queue_notify',
      'qemuSignal 0 0x5555dcf8d400',
    ]);
  });
}

const ROWS: [line: string, calls: string[]][] = [
  [
    '[120139718 137.127269] kvm_run_exit: cpu_index 0, reason 2',
    ['qemuEvent NaN 0 kvm_run_exit', 'qemuRunExit NaN 0 0 KVM_EXIT_IO'],
  ],
  [
    '7022@1567775824012200000 kvm_run_exit cpu_index 1, reason 2',
    ['qemuEvent 1567775824012200000 7022 kvm_run_exit', 'qemuRunExit 1567775824012200000 7022 1 KVM_EXIT_IO'],
  ],
  [
    '"2026-11-25","7022@1567775824.012200:kvm_run_exit cpu_index 1, reason 2"',
    ['qemuEvent 1567775824012200000 7022 kvm_run_exit', 'qemuRunExit 1567775824012200000 7022 1 KVM_EXIT_IO'],
  ],
  [
    '7022@1567775824.012200:kvm_run_exit cpu_index 1, reason 2$',
    ['qemuEvent 1567775824012200000 7022 kvm_run_exit', 'qemuRunExit 1567775824012200000 7022 1 KVM_EXIT_IO'],
  ],
  ['host qemu: 7022@1567775824.012200:Hello world', ['malformed line']],
  ['host qemu: kvm_run_exit cpu_index x, reason 2', ['qemuEvent NaN 0 kvm_run_exit', 'malformed arguments']],
  ['mail me at bob7022@1567775824.012200:foo', []],
  ['x: xkvm_run_exit cpu_index 1, reason 2', []],
  ['see kvm_run_exit and virtio_queue_notify', []],
  ['a_b: @@@@@@@@@@@@@ 1@ 2@3 4@5.6', []],
];

for (const [line, calls] of ROWS)
  test(`the line ${line}`, () => {
    assert.deepEqual(callsOf(`${line}\n`), calls);
  });

test('a line with another prefix than that of kvm_run_exit is no event', () => {
  const prefix = 'Nov 25 19:00:01 host1 qemu[7]: ';
  const text = `${prefix}kvm_run_exit cpu_index 1, reason 2\nNov 25 19:00:01 host1 kernel: virtio_notify a\nNov 25 host1 qemu[7]: virtio_notify a\n`;
  assert.equal(
    callsOf(`${text}Nov 25 19:00:01 host1 qemu[7] virtio_notify a\n`).filter((call) => call.includes('virtio')).length,
    1,
  );
});
