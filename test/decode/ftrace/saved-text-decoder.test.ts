import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SavedTextDecoder } from '../../../src/decode/ftrace/saved-text-decoder.js';
import { CountingSink } from '../../support/trace/counting-sink.js';
import { ShortCallSink } from '../../support/trace/short-call-sink.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

function callsOf(text: string): string[] {
  const vocabulary = newVocabulary();
  const sink = new ShortCallSink(vocabulary);
  const decoder = new SavedTextDecoder(vocabulary, sink);
  decoder.push(Buffer.from(text));
  decoder.end();
  return sink.calls;
}

const HEADER = 'CPU 0/KVM-174     [000] d..1.    13.107384:';

const CASES: [name: string, text: string, calls: string[]][] = [
  [
    'lines that are broken behind the header',
    `${HEADER}\n kvm_exit: reason HLT rip 0x1 info 0 0\n${HEADER}\n kvm_entry: vcpu 0\n`,
    ['exit vcpu=-1 HLT 0', 'entry vcpu=0'],
  ],
  [
    'quoted lines that are broken behind the header',
    `> ${HEADER}\n>  kvm_exit: reason HLT rip 0x1 info 0 0\n`,
    ['exit vcpu=-1 HLT 0'],
  ],
  [
    "lines that are broken inside the event's text",
    `${HEADER} kvm_exit: vcpu 0 reason\nEPT_MISCONFIG rip 0x1 info1 0x0 info2 0x0\n${HEADER} kvm_entry: vcpu 0\n`,
    ['exit vcpu=0 EPT_MISCONFIG 0', 'entry vcpu=0'],
  ],
  ['a line that is broken twice', `${HEADER}\n kvm_exit: vcpu 0\n reason HLT rip 0x1\n`, ['exit vcpu=0 HLT NaN']],
  ['a header without an event', `${HEADER}\n${HEADER} kvm_entry: vcpu 0\n`, ['entry vcpu=0', 'malformed line']],
  [
    'a part of an event that is followed by another event',
    `${HEADER} kvm_userspace_exit: reason KVM_EXIT_IO\n${HEADER} kvm_entry: vcpu 0\nend\n`,
    ['entry vcpu=0', 'malformed arguments'],
  ],
  [
    "an exit whose text is a vendor's own",
    `${HEADER} kvm_exit: cause 7 at 0x1\n${HEADER} kvm_entry: at 0x1\n`,
    ['malformed arguments', 'exit vcpu=-1 unknown NaN', 'malformed arguments', 'entry vcpu=-1'],
  ],
  [
    'ordinary lines',
    'cpus=8\nversion = 6\nCPU 3 is empty\n # a note\n\t ffffffff81 vmx_vcpu_run+0x1 ([kvm_intel])\n=> kvm_vcpu_ioctl\nSee kvm_exit\n\n',
    [],
  ],
  [
    'lines that are damaged',
    `${HEADER} kvm_userspace_exit reason KVM_EXIT_IO (2)\nCPU 0/KVM-174 000 13.107384 kvm_exit: x\n\x01\x02\n`,
    ['malformed line', 'malformed line', 'malformed line'],
  ],
  ['losses of perf', '  CPU 0/KVM   300 [003]    55.443771: PERF_RECORD_LOST lost 119\n', ['lost 3 119']],
  ['losses of trace-cmd behind a quote', '> CPU:7 [204600 EVENTS DROPPED]\n', ['lost 7 204600']],
  [
    'events of the tracer function_graph',
    ' 1)               |  /* kvm_exit: vcpu 0 reason HLT rip 0x1 */\n 1)   0.5 us |  kvm_arch();\n',
    ['exit vcpu=0 HLT NaN'],
  ],
  [
    "kvm_exit_v2 of Android's kernels",
    `${HEADER} kvm_entry_v2: vcpu: 2 PC: 0x1\n${HEADER} kvm_exit_v2: vcpu: 2 TRAP: HSR_EC: 0x0001 (WFx), PC: 0x1\n`,
    ['entry vcpu=2', 'exit vcpu=2 WFx NaN'],
  ],
  [
    'kvm_exit_v2 beside kvm_exit, for the same exit',
    `${HEADER} kvm_exit: TRAP: HSR_EC: 0x0001 (WFx), PC: 0x1\n${HEADER} kvm_exit_v2: vcpu: 2 TRAP: HSR_EC: 0x0001 (WFx), PC: 0x1\n`.repeat(
      2,
    ),
    ['exit vcpu=-1 WFx NaN', 'exit vcpu=-1 WFx NaN'],
  ],
  [
    'kvm_exit beside kvm_exit_v2, whichever comes first',
    `${HEADER} kvm_exit_v2: vcpu: 2 TRAP: HSR_EC: 0x0001 (WFx), PC: 0x1\n${HEADER} kvm_exit: TRAP: HSR_EC: 0x0001 (WFx), PC: 0x1\n`.repeat(
      2,
    ),
    ['exit vcpu=2 WFx NaN', 'exit vcpu=2 WFx NaN'],
  ],
  ['prose that mentions an event', 'kvm_exit: the guest leaves\nqemu: kvm_init_vcpu: failed (0): Invalid\n', []],
];

for (const [name, text, calls] of CASES)
  test(`SavedTextDecoder reads ${name}`, () => {
    assert.deepEqual(callsOf(text), calls);
  });

const COMMS: [before: string, comm: string][] = [
  ['       CPU 0/KVM', 'CPU 0/KVM'],
  ['CPU 0/KVM', 'CPU 0/KVM'],
  ['>> CPU 0/KVM', 'CPU 0/KVM'],
  ['     1\t       CPU 0/KVM', 'CPU 0/KVM'],
  ['trace.txt:12:       CPU 0/KVM', 'CPU 0/KVM'],
  ['Nov 25 19:00:01 host1 logger[812]:        CPU 0/KVM', 'CPU 0/KVM'],
  ['Nov 25 19:00:01 host1 logger[812]: CPU 0/KVM', 'CPU 0/KVM'],
  ['2026-11-25T19:00:01.123456789Z stdout F        CPU 0/KVM', 'CPU 0/KVM'],
  ['web-1  | qemu-system-x86', 'qemu-system-x86'],
  ['host [12] (3)  qemu-system-x86', 'qemu-system-x86'],
  ['   trace-vm1.dat:        CPU 0/KVM', 'CPU 0/KVM'],
  ['a b c d e f g qemu-system-x86', 'qemu-system-x86'],
];

for (const [before, comm] of COMMS)
  test(`SavedTextDecoder finds the thread's name in "${before}-7 [000] ..."`, () => {
    const vocabulary = newVocabulary();
    const sink = new CountingSink(vocabulary);
    const decoder = new SavedTextDecoder(vocabulary, sink);
    decoder.push(Buffer.from(`${before}-7 [000] d..1. 1.5: kvm_entry: vcpu 0\n`));
    assert.deepEqual([...sink.threads], [[7, { tgid: -1, comm }]]);
  });
