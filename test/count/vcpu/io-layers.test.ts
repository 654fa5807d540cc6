/** Who answered an access: shown only where the trace proves it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../../src/count/ledger.js';
import { SavedTextDecoder } from '../../../src/decode/ftrace/saved-text-decoder.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';

const EVENTS: Readonly<Record<string, string>> = {
  entry: 'kvm_entry: vcpu 0',
  exit: 'kvm_exit: vcpu 0 reason io rip 0x1 info1 0x0 info2 0x0',
  out: 'kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0xd',
  in: 'kvm_pio: pio_read at 0x3fd size 1 count 1 val 0x60',
  unsatisfied: 'kvm_mmio: mmio unsatisfied-read len 4 gpa 0x10000000 val 0x0',
  read: 'kvm_mmio: mmio read len 4 gpa 0x10000000 val 0x1',
  fast: 'kvm_fast_mmio: fast mmio at gpa 0xfe003000',
  IO: 'kvm_userspace_exit: reason KVM_EXIT_IO (2)',
};

/** Accesses and kicks of a recording of these events. */
function figuresOf(words: string): { io: string[]; kicks: number } {
  const ledger = new Ledger({ ownerOf: () => ({ vm: { label: 'vm-a' }, vcpu: '0' }) });
  const decoder = new SavedTextDecoder(ledger.vocabulary, ledger.kernelSource('ftrace'));
  for (const word of words.split(' ')) {
    const text = word === 'lost' ? 'CPU:0 [LOST 12 EVENTS]' : `  CPU 0/KVM-7 [000] d..1. 1.500000: ${EVENTS[word]}`;
    decoder.push(Buffer.from(`${text}\n`));
  }
  decoder.end();
  ledger.resolveOwners(0);
  ledger.settle();
  const { io, eventfds } = takeSnapshot(ledger.totals());
  const kicks = eventfds.filter(({ kind }) => kind === 'ioeventfd').reduce((sum, { count }) => sum + count, 0);
  return { io: [...io.map(({ layer, direction, count }) => `${direction} ${layer} ${count}`)].sort(), kicks };
}

const CASES: [words: string, io: string[], kicks: number][] = [
  // Only accesses were recorded.
  ['out out in in', ['in unknown 2', 'out unknown 2'], 0],
  // perf kvm stat record: no userspace exits in it. KVM itself says that it could not answer the read.
  ['entry exit out entry exit unsatisfied read entry exit in entry', ['in qemu 1', 'in unknown 1', 'out unknown 1'], 0],
  // KVM itself says that it took the write for an ioeventfd.
  ['entry exit fast entry', ['out kvm 1'], 1],
  // The recording begins in the middle of an access.
  ['in entry exit IO in entry', ['in qemu 1', 'in unknown 1'], 0],
  // It ends in the middle of one.
  ['entry exit IO in exit out', ['in qemu 1', 'out unknown 1'], 0],
  // Events were lost in the middle of one.
  ['entry exit IO in exit out lost entry exit out IO entry', ['in qemu 1', 'out qemu 1', 'out unknown 1'], 0],
  ['entry exit IO in lost in entry', ['in qemu 1', 'in unknown 1'], 0],
  // All of it is there.
  [
    'entry exit out IO entry exit out entry exit in entry exit IO in',
    ['in kvm 1', 'in qemu 1', 'out kvm 1', 'out qemu 1'],
    1,
  ],
];

for (const [words, io, kicks] of CASES)
  test(`accesses of "${words}"`, () => {
    assert.deepEqual(figuresOf(words), { io, kicks });
  });
