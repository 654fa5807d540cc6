/** Userspace exits that libtraceevent gives a stale reason: which of them were failed calls of KVM_RUN. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SavedTextDecoder } from '../../../src/decode/ftrace/saved-text-decoder.js';
import { CountingSink } from '../../support/trace/counting-sink.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

const EVENTS: Readonly<Record<string, string>> = {
  entry: 'kvm_entry: vcpu 0',
  exit: 'kvm_exit: reason EXIT_HLT rip 0x1234 info 0 0',
  pio: 'kvm_pio: pio_read at 0x402 size 1 count 1 val 0xe9',
  mmio: 'kvm_mmio: mmio write len 4 gpa 0xfee000f0 val 0x1ff',
  HLT: 'kvm_userspace_exit: reason KVM_EXIT_HLT (5)',
  IO: 'kvm_userspace_exit: reason KVM_EXIT_IO (2)',
  MMIO: 'kvm_userspace_exit: reason KVM_EXIT_MMIO (6)',
  INTR: 'kvm_userspace_exit: reason KVM_EXIT_INTR (10)',
  UNKNOWN: 'kvm_userspace_exit: reason KVM_EXIT_UNKNOWN (0)',
  EOI: 'kvm_userspace_exit: reason KVM_EXIT_IOAPIC_EOI (26)',
  restart: 'kvm_userspace_exit: reason restart (4)',
};

/** A line as each tool writes it. */
const FORMS = {
  'trace-cmd': (tid: number, text: string) =>
    `       CPU 0/KVM-${tid}   [000]     6.400001: ${text.replace(': ', ':             ')}`,
  'trace-cmd -l': (tid: number, text: string) =>
    `CPU 0/KV-${tid}     0d..1.     6.400001: ${text.replace(': ', ':             ')}`,
  perf: (tid: number, text: string) => `       CPU 0/KVM   ${tid} [000]    13.108694:   kvm:${text}`,
  'trace-cmd with single blanks': (tid: number, text: string) => `CPU 0/KVM-${tid} [000] 6.400001: ${text}`,
  kernel: (tid: number, text: string) => `       CPU 0/KVM-${tid}   [000] d..1.     6.400001: ${text}`,
};

/** Decodes words such as `entry 2:HLT`: an event of thread 1 and one of thread 2. */
function decode(
  words: string,
  form: keyof typeof FORMS = 'trace-cmd',
): { exits: Record<string, number>; undecided: number } {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const decoder = new SavedTextDecoder(vocabulary, sink);
  for (const word of words.split(' ')) {
    const [, tid = '1', name = ''] = /^(?:(\d):)?(.*)$/.exec(word) ?? [];
    const line = name === 'lost' ? 'CPU:0 [12 EVENTS DROPPED]' : FORMS[form](140 + Number(tid), EVENTS[name] ?? '?');
    decoder.push(Buffer.from(`${line}\n`));
  }
  decoder.end();
  return { exits: Object.fromEntries(sink.userspaceExitReasons), undecided: decoder.undecidedExits };
}

const CASES: [name: string, words: string, exits: Record<string, number>, undecided?: number][] = [
  ['the second of two exits after one entry', 'entry exit HLT HLT', { KVM_EXIT_HLT: 1, restart: 1 }],
  ['no exit after an entry', 'entry exit HLT entry exit HLT', { KVM_EXIT_HLT: 2 }],
  ['no exit after an access that userspace answered', 'entry exit IO pio IO', { KVM_EXIT_IO: 2 }],
  ['no exit after the next part of an access to memory', 'entry exit mmio MMIO mmio MMIO', { KVM_EXIT_MMIO: 2 }],
  ['an exit after an entry of another thread', 'entry exit HLT 2:entry HLT', { KVM_EXIT_HLT: 1, restart: 1 }],
  ['KVM_EXIT_INTR, always', 'entry exit INTR entry INTR', { restart: 2 }],
  ['the first call of a vCPU, which waits to be started', 'UNKNOWN 2:entry UNKNOWN', { restart: 2 }],
  [
    'exits before the first entry of the trace, once there is one',
    'HLT HLT HLT entry',
    { KVM_EXIT_HLT: 1, restart: 2 },
  ],
  ['no exit with a new reason: a stale one is old', 'entry exit HLT EOI', { KVM_EXIT_HLT: 1, KVM_EXIT_IOAPIC_EOI: 1 }],
  ['exits in a trace that has kvm_exit alone', 'exit HLT HLT exit HLT', { KVM_EXIT_HLT: 2, restart: 1 }],
  ['no exit after lost events', 'entry exit HLT lost HLT', { KVM_EXIT_HLT: 2 }],
  ['nothing in a trace without entries', 'HLT HLT pio IO INTR', { KVM_EXIT_HLT: 2, KVM_EXIT_IO: 1, restart: 1 }, 3],
];

for (const form of ['trace-cmd', 'trace-cmd -l', 'perf', 'trace-cmd with single blanks'] as const)
  for (const [name, words, exits, undecided = 0] of CASES)
    test(`text of ${form}: failed calls are ${name}`, () => {
      assert.deepEqual(decode(words, form), { exits, undecided });
    });

test("the kernel's own text is exact: no reason is changed but KVM_EXIT_INTR, which no call returns", () => {
  const { exits } = decode('entry exit HLT HLT UNKNOWN INTR restart', 'kernel');
  assert.deepEqual(exits, { KVM_EXIT_HLT: 2, KVM_EXIT_UNKNOWN: 1, restart: 2 });
});

test('a text without flags that has `restart` is of the kernel', () => {
  const { exits, undecided } = decode('restart HLT HLT entry', 'trace-cmd with single blanks');
  assert.deepEqual({ exits, undecided }, { exits: { KVM_EXIT_HLT: 2, restart: 1 }, undecided: 0 });
});
