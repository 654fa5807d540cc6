import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALL_COLLECTORS, Ledger } from '../../src/count/ledger.js';
import { FtraceTextDecoder } from '../../src/decode/ftrace/text-decoder.js';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';
import { collectorsWhere } from '../../src/trace/collectors.js';

const LINE = '     CPU 0/KVM-174     [000] d..1.    13.107384: ';

/** The snapshots after each part of a trace. */
function count(parts: readonly (readonly string[])[], collectors = ALL_COLLECTORS): Snapshot[] {
  const ledger = new Ledger({ ownerOf: () => ({ vm: { label: 'a', pid: 1 }, vcpu: '0' }) as never }, { collectors });
  const decoder = new FtraceTextDecoder(ledger.vocabulary, ledger.kernelSource('tracefs'));
  return parts.map((events) => {
    decoder.push(Buffer.from(events.map((event) => `${LINE}${event}\n`).join('')));
    return takeSnapshot(ledger.totals(), []);
  });
}

const sum = (rows: Iterable<{ readonly count: number }>) => [...rows].reduce((total, row) => total + row.count, 0);

test('a guest that reads 65,536 MSRs gets a few series, and their sum is exact', () => {
  const hot = 'kvm_msr: msr_write 6e0 = 0x0';
  const reads = Array.from({ length: 65_536 }, (_, msr) => `kvm_msr: msr_read ${msr.toString(16)} = 0x0`);
  const parts = Array.from({ length: 16 }, (_, part) => [
    ...reads.slice(part * 4096, (part + 1) * 4096),
    ...Array.from({ length: 1000 }, () => hot),
  ]);
  // A register that loses its series takes its figure along: the sum is that of the last figure of every series.
  const told = new Map<string, number>();
  for (const [part, { msrs }] of count(parts).entries()) {
    assert.ok(msrs.length <= 52, `${msrs.length} rows`);
    for (const { direction, msr, count: accesses } of msrs) {
      assert.ok(accesses >= (told.get(`${direction} ${msr}`) ?? 0), `${direction} ${msr} does not decrease`);
      told.set(`${direction} ${msr}`, accesses);
    }
    assert.equal(sum(Array.from(told.values(), (accesses) => ({ count: accesses }))), (part + 1) * 5096);
  }
  assert.equal(told.get('write IA32_TSC_DEADLINE'), 16_000, 'what is written all the time has its own series');
});

test('a number of 64 bits is counted without its value', () => {
  const [snapshot] = count([['kvm_hypercall: nr 0xffffffffffffffff a0 0x0 a1 0x0 a2 0x0 a3 0x0']]);
  assert.deepEqual(
    snapshot?.hypercalls.map(({ number, count: calls }) => [number, calls]),
    [['other', 1]],
  );
});

test('kinds of page faults: by the exit qualification on VMX, by the error code on SVM, else unknown', () => {
  const fault = (code: string) => `kvm_page_fault: vcpu 0 rip 0x0 address 0x1000 error_code 0x${code}`;
  const exit = (reason: string) => `kvm_exit: vcpu 0 reason ${reason} rip 0x1 info1 0x0 info2 0x0`;
  const kinds = (events: string[]) =>
    count([events])
      .flatMap(({ pageFaults }) => pageFaults.map(({ kind, count: faults }) => `${kind} ${faults}`))
      .sort();
  // SDM vol. 3, table 28-7: bit 0 read, 1 write, 2 fetch, 3 to 5 what the page allows.
  const vmx = ['181', '181', '182', '184', '189', '18a', '19c'].map(fault);
  assert.deepEqual(kinds([exit('EPT_VIOLATION'), ...vmx]), [
    'exec 1',
    'protected_exec 1',
    'protected_read 1',
    'protected_write 1',
    'read 2',
    'write 1',
  ]);
  // APM vol. 2, 8.4.2: bit 0 present, 1 write, 2 user, 3 reserved, 4 fetch. Bit 32: the guest's final translation.
  const svm = ['100000004', '100000006', '100000014', '100000007', '10000000f'].map(fault);
  assert.deepEqual(kinds([exit('npf'), ...svm]), ['exec 1', 'mmio 1', 'protected_write 1', 'read 1', 'write 1']);
  assert.deepEqual(kinds([fault('181')]), ['unknown 1']);
});

test('what keeps AVIC off is a state of the VM, and how often it began is counted', () => {
  const change = (word: string) => `kvm_apicv_inhibit_changed: ${word} reason=9, inhibits=0x200 PIT_REINJ`;
  const [on, off] = count([[change('set')], [change('cleared'), change('set'), change('cleared')]]);
  assert.deepEqual(on?.apicvInhibits, [{ vm: 'a', reason: 'PIT_REINJ', count: 1, isOn: true }]);
  assert.deepEqual(off?.apicvInhibits, [{ vm: 'a', reason: 'PIT_REINJ', count: 2, isOn: false }]);
});

test('without the collector nothing of it is counted', () => {
  const collectors = collectorsWhere((name) => name !== 'indices');
  const [snapshot] = count([['kvm_msr: msr_read 1b = 0x0', 'kvm_cpuid: func 0 idx 0 rax 0']], collectors);
  assert.deepEqual([snapshot?.msrs.length, snapshot?.cpuidLeaves.length], [0, 0]);
});
