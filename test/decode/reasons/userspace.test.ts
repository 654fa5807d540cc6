import assert from 'node:assert/strict';
import { test } from 'node:test';
import { userspaceReasonLabel } from '../../../src/decode/reasons/userspace.js';
import { readFixture } from '../../support/fixtures.js';

test('the names are those of the kernel, as far as its list goes', () => {
  const format = readFixture('exact/e2-mix/tracefs/events/kvm/kvm_userspace_exit/format').toString('latin1');
  const pairs = [...format.matchAll(/\{ (\d+), "KVM_EXIT_" "(\w+)" \}/g)];
  assert.ok(pairs.length >= 26, `${pairs.length} names`);
  for (const [, code, name] of pairs) assert.equal(userspaceReasonLabel(Number(code)), `KVM_EXIT_${name}`);
});

/** Names of include/uapi/linux/kvm.h that the tracepoint's list lacks. */
const BEYOND: readonly (readonly [number, string])[] = [
  [31, 'KVM_EXIT_DIRTY_RING_FULL'],
  [32, 'KVM_EXIT_AP_RESET_HOLD'],
  [33, 'KVM_EXIT_X86_BUS_LOCK'],
  [34, 'KVM_EXIT_XEN'],
  [35, 'KVM_EXIT_RISCV_SBI'],
  [36, 'KVM_EXIT_RISCV_CSR'],
  [37, 'KVM_EXIT_NOTIFY'],
  [38, 'KVM_EXIT_LOONGARCH_IOCSR'],
  [39, 'KVM_EXIT_MEMORY_FAULT'],
  [40, 'KVM_EXIT_TDX'],
  [41, 'KVM_EXIT_ARM_SEA'],
  [42, 'KVM_EXIT_ARM_LDST64B'],
  [43, 'KVM_EXIT_SNP_REQ_CERTS'],
  [44, '44'],
  [4294967295, '4294967295'],
  [-1, '-1'],
];

for (const [code, label] of BEYOND) {
  test(`${code} is ${label}`, () => assert.equal(userspaceReasonLabel(code), label));
}
