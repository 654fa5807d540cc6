import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FtraceLine } from '../../../src/decode/text/ftrace-line.js';

interface Want {
  comm: string;
  tid: number;
  tgid: number;
  cpu: number;
  timeNs: number;
  event: string;
  args: string;
}

const BASE: Want = {
  comm: 'CPU 0/KVM',
  tid: 174,
  tgid: -1,
  cpu: 0,
  timeNs: 13107384000,
  event: 'kvm_entry',
  args: 'vcpu 0, rip 0xfff0',
};

const ROWS: [name: string, line: string, want: Partial<Want>][] = [
  ['flags of five characters', '       CPU 0/KVM-174     [000] d..1.    13.107384: kvm_entry: vcpu 0, rip 0xfff0', {}],
  [
    'flags of four characters and a short pid',
    '       CPU 0/KVM-174   [000] d..1    13.107384: kvm_entry: vcpu 0, rip 0xfff0',
    {},
  ],
  ['no flags', '       CPU 0/KVM-174     [000]     13.107384: kvm_entry: vcpu 0, rip 0xfff0', {}],
  [
    'record-tgid',
    '       CPU 0/KVM-174     (    165) [000] .....    13.107384: kvm_entry: vcpu 0, rip 0xfff0',
    { tgid: 165 },
  ],
  [
    'a tgid that the kernel did not record',
    '       CPU 0/KVM-174     (-------) [003] .....    13.107384: kvm_entry: vcpu 0, rip 0xfff0',
    { cpu: 3 },
  ],
  [
    'dashes, brackets and digits in the comm',
    '  my-[1] x-9 [00]-174     [000] .....    13.107384: kvm_entry: vcpu 0, rip 0xfff0',
    { comm: 'my-[1] x-9 [00]' },
  ],
  [
    'an unknown comm',
    '           <...>-174     [000] .....    13.107384: kvm_entry: vcpu 0, rip 0xfff0',
    { comm: '<...>' },
  ],
  [
    'a clock that does not count time',
    '       CPU 0/KVM-174     [000] d..1.  41918408616: kvm_entry: vcpu 0, rip 0xfff0',
    { timeNs: Number.NaN },
  ],
  [
    'nanoseconds (perf script --ns)',
    '       CPU 0/KVM   174 [000]    13.107384123: kvm:kvm_entry: vcpu 0, rip 0xfff0',
    { timeNs: 13107384123 },
  ],
  ['perf script', '       CPU 0/KVM   174 [001]    13.107384:  kvm:kvm_entry: vcpu 0, rip 0xfff0', { cpu: 1 }],
  [
    'perf script with process and thread',
    '       CPU 0/KVM   165/174 [001]    13.107384: kvm:kvm_entry: vcpu 0, rip 0xfff0',
    { cpu: 1, tgid: 165 },
  ],
  [
    'trace-cmd report',
    '       CPU 0/KVM-174   [001]    13.107384: kvm_entry:            vcpu 0, rip 0xfff0',
    { cpu: 1 },
  ],
  [
    'a CPU number of four digits',
    '       CPU 0/KVM-174     [1023] d..1.    13.107384: kvm_entry: vcpu 0, rip 0xfff0',
    { cpu: 1023 },
  ],
  [
    'latency-format of trace',
    'CPU 0/KV-174       0d..1. 13167478us!: kvm_entry: vcpu 0, rip 0xfff0',
    { comm: 'CPU 0/KV', timeNs: 13167478000 },
  ],
  [
    'latency-format of trace_pipe',
    'CPU 0/KV-174      12d..1. 13167478us : kvm_entry: vcpu 0, rip 0xfff0',
    { comm: 'CPU 0/KV', timeNs: 13167478000, cpu: 12 },
  ],
  [
    'latency-format with verbose',
    '       CPU 0/KVM     174   1 0 00000001 00000007 [00c8eaf6] 13167.478ms (+0.002ms): kvm_entry: vcpu 0, rip 0xfff0',
    { cpu: 1, timeNs: 0xc8eaf6 * 1000 },
  ],
  ['no arguments', '       CPU 0/KVM-174     [000] d..1.    13.107384: kvm_entry:', { args: '' }],
];

for (const [name, text, want] of ROWS) {
  test(`FtraceLine reads ${name}`, () => {
    const bytes = Buffer.from(`before\n${text}\nafter`);
    const line = new FtraceLine();
    assert.equal(line.parse(bytes, 7, 7 + text.length), true);
    const got: Want = {
      comm: bytes.toString('latin1', line.commStart, line.commEnd),
      tid: line.tid,
      tgid: line.tgid,
      cpu: line.cpu,
      timeNs: line.timeNs,
      event: bytes.toString('latin1', line.eventStart, line.eventEnd),
      args: bytes.toString('latin1', line.argsStart, 7 + text.length),
    };
    assert.deepEqual(got, { ...BASE, ...want });
  });
}

const NOT_LINES = [
  '',
  'x',
  '[000]',
  '-1 [000]',
  'CPU 0/KVM-174 [000] 13.1',
  'CPU:1 [LOST 3 EVENTS]',
  'a-1 [0] b',
  '175 0 13163980362 type: 1380',
  'kvm_entry: vcpu 0',
];

for (const text of NOT_LINES) {
  test(`FtraceLine refuses ${JSON.stringify(text)}`, () => {
    const bytes = Buffer.from(text);
    assert.equal(new FtraceLine().parse(bytes, 0, bytes.length), false);
  });
}
