import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FtraceLine } from '../../../src/decode/text/ftrace-line.js';
import { parseLoose } from '../../../src/decode/text/loose-line.js';

interface Want {
  readonly comm: string;
  readonly tid: number;
  readonly tgid: number;
  readonly cpu: number;
  readonly timeNs: number;
  readonly event: string;
}

const NONE: Want = { comm: '', tid: 0, tgid: -1, cpu: -1, timeNs: Number.NaN, event: 'kvm_entry' };
const THREAD = { comm: 'CPU 0/KVM', tid: 159 };
const TIME = { timeNs: 13_108_694_000 };

// As perf 6.1 and trace-cmd 3.1.6 print them, and kernel/trace/trace_functions_graph.c.
const ROWS: [line: string, want: Partial<Want>][] = [
  ['       CPU 0/KVM   159    13.108694:          kvm:kvm_entry: vcpu 0, rip 0x31', { ...THREAD, ...TIME }],
  ['       CPU 0/KVM   155/159      13.108694:          kvm:kvm_entry: vcpu 0', { ...THREAD, ...TIME, tgid: 155 }],
  ['       CPU 0/KVM    13.108694:          kvm:kvm_entry: vcpu 0, rip 0x31', { comm: 'CPU 0/KVM', ...TIME }],
  ['   13.108694:          kvm:kvm_entry: vcpu 0, rip 0x31', TIME],
  ['[000]    13.108694:          kvm:kvm_entry: vcpu 0, rip 0x31', { cpu: 0, ...TIME }],
  ['       CPU 0/KVM   159 [012]          kvm:kvm_entry: vcpu 0', { ...THREAD, cpu: 12 }],
  ['  159          kvm:kvm_entry: vcpu 0, rip 0x31', { tid: 159 }],
  [
    '       CPU 0/KVM   159 [000]    13.108694:          1          kvm:kvm_entry: vcpu 0',
    { ...THREAD, ...TIME, cpu: 0 },
  ],
  ['       CPU 0/KVM   159 [000] K        13.108694:          kvm:kvm_entry: vcpu 0', { ...THREAD, ...TIME, cpu: 0 }],
  ['          kvm:kvm_entry: vcpu 0, rip 0x31', {}],
  [
    'CPU 0/KV-208     1d..1.    14.382464: kvm_entry:             vcpu 0 rip 0x79',
    { comm: 'CPU 0/KV', tid: 208, cpu: 1, timeNs: 14_382_464_000 },
  ],
  [
    'CPU 0/KV-208     1-0x1    14.382464: kvm_entry:             vcpu_id=0',
    { comm: 'CPU 0/KV', tid: 208, cpu: 1, timeNs: 14_382_464_000 },
  ],
  [
    '       CPU 0/KVM-208   [001]    14.382464: (+2)     kvm_entry:    vcpu 0',
    { comm: 'CPU 0/KVM', tid: 208, cpu: 1, timeNs: 14_382_464_000 },
  ],
  ['   13.108694123: sched_switch: prev_comm=a ==> next_comm=b', { timeNs: 13_108_694_123, event: 'sched_switch' }],
  [' 1)               |  /* kvm_entry: vcpu 0 */', { comm: '1)               |  /*' }],
  ['[  100.000001] kvm_entry: vcpu 0', { comm: '[  100.000001]' }],
  ['kvm_entry: vcpu 0', {}],
];

for (const [text, want] of ROWS) {
  test(`parseLoose reads "${text.trim().slice(0, 70)}"`, () => {
    const line = new FtraceLine();
    const bytes = Buffer.from(text);
    assert.ok(parseLoose(line, bytes, 0, bytes.length));
    const { tid, tgid, cpu, timeNs } = line;
    const comm = bytes.toString('latin1', line.commStart, line.commEnd);
    const event = bytes.toString('latin1', line.eventStart, line.eventEnd);
    assert.deepEqual({ comm, tid, tgid, cpu, timeNs, event }, { ...NONE, ...want });
  });
}

for (const text of [
  '',
  'the reason: a bug',
  'CPU 3 is empty',
  'cpus=8',
  'version = 6',
  'kvm_exit is an event',
  'Nov 25 19:00:01 host1 qemu[1]: kvm_run_exit cpu_index 0, reason 2',
  '[120139718 137.127269] kvm_run_exit: cpu_index 0, reason 2',
  '\tffffffffc0318655 [unknown] ([kvm])',
]) {
  test(`parseLoose finds no event in "${text}"`, () => {
    const bytes = Buffer.from(text);
    assert.equal(parseLoose(new FtraceLine(), bytes, 0, bytes.length), false);
  });
}
