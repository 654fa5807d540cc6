/** Time of accesses by address: from the return of KVM_RUN to the next entry into the guest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyTable } from '../../../src/count/counters/key-table.js';
import { Ledger } from '../../../src/count/ledger.js';
import { SavedTextDecoder } from '../../../src/decode/ftrace/saved-text-decoder.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';

const EVENTS: Readonly<Record<string, string>> = {
  entry: 'kvm_entry: vcpu 0',
  exit: 'kvm_exit: vcpu 0 reason io rip 0x1 info1 0x0 info2 0x0',
  'exit-in': 'kvm_exit: vcpu 0 reason io rip 0x1 info1 0x710009 info2 0x0',
  out: 'kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0xd',
  in: 'kvm_pio: pio_read at 0x3fd size 1 count 1 val 0x60',
  unsatisfied: 'kvm_mmio: mmio unsatisfied-read len 4 gpa 0x10000000 val 0x0',
  read: 'kvm_mmio: mmio read len 4 gpa 0x10000000 val 0x1',
  IO: 'kvm_userspace_exit: reason KVM_EXIT_IO (2)',
  MMIO: 'kvm_userspace_exit: reason KVM_EXIT_MMIO (6)',
  INTR: 'kvm_userspace_exit: reason restart (4)',
};

/** Microseconds by address of a recording of these events, each with its time in microseconds: `exit@10`. */
function timesOf(words: string): Record<string, number> {
  const ledger = new Ledger({ ownerOf: () => ({ vm: { label: 'vm-a' }, vcpu: '0' }) });
  const decoder = new SavedTextDecoder(ledger.vocabulary, ledger.kernelSource('ftrace'));
  for (const word of words.split(' ')) {
    const [event = '', at = ''] = word.split('@');
    const text = `  CPU 0/KVM-7 [000] d..1. 1.${at.padStart(6, '0')}: ${EVENTS[event]}`;
    decoder.push(Buffer.from(`${text}\n`));
  }
  decoder.end();
  ledger.resolveOwners(0);
  ledger.settle();
  const { io } = takeSnapshot(ledger.totals());
  return Object.fromEntries(io.map(({ address, qemuSeconds }) => [address, Math.round((qemuSeconds ?? 0) * 1e6)]));
}

for (const [words, times] of [
  // 30 us for the first OUT, 50 us for the second, 5 us for the IN. Its port is printed after the exit.
  [
    'entry@0 exit@10 out@11 IO@12 entry@42 exit@50 out@51 IO@60 entry@110 exit@120 IO@121 in@125 entry@126',
    { '0x3f8': 80, '0x3fd': 5 },
  ],
  ['entry@0 exit@10 unsatisfied@11 MMIO@12 read@30 entry@32', { '0x10000000': 20 }],
  // kvm_pio of the IN was not recorded. The exit has its port, which is counted after the time has ended.
  ['entry@0 exit-in@10 IO@12 entry@40', { '0x71': 0 }],
  // The entry after the first OUT was lost.
  ['entry@0 exit@10 out@11 IO@12 exit@50 entry@90', { '0x3f8': 0 }],
  // KVM answers the OUT.
  ['entry@0 exit@10 out@11 entry@42', { '0x3f8': 0 }],
  // A signal interrupts KVM_RUN after QEMU has answered: the time until the entry is not that of the access.
  ['entry@0 exit@10 out@11 IO@12 INTR@20 entry@90', { '0x3f8': 0 }],
  // No entry shows when QEMU has answered.
  ['exit@10 out@11 IO@12 exit@50 out@51 IO@60', { '0x3f8': 0 }],
] as const)
  test(`times of "${words}"`, () => {
    assert.deepEqual(timesOf(words), times);
  });

test('the time of a key leaves the table with it', () => {
  const table = new KeyTable(2);
  const timesIn = () => [16, 32, 48].map((key) => table.timeOf(key));
  for (const [key, ns] of [
    [16, 5],
    [32, 7],
    [32, 1],
  ] as const) {
    table.add(key);
    table.timeNs = ns;
    table.addTime();
  }
  assert.deepEqual(timesIn(), [5, 8, 0]);
  table.add(48); // replaces the key that was used least
  table.timeNs = 3;
  table.addTime();
  assert.deepEqual(timesIn(), [0, 8, 3]);
  const sum = new KeyTable();
  sum.absorb(table);
  sum.absorb(table);
  assert.deepEqual([sum.timeOf(32), sum.timeOf(48)], [16, 6]);
});
