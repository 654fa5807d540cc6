import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kernelLabels } from '../../../../src/decode/kvm/exit/x86-labels.js';
import { formatTexts } from '../../../support/trace/recorded-formats.js';

const RECORDINGS = [
  // The numbers of entries in the two lists, counted in the format files with a regular expression.
  { kernel: '6.18', recording: 'exact/e2-mix', vmx: 65, svm: 110 },
  { kernel: '6.12', recording: 'svm/two-vms-6.12', vmx: 62, svm: 108 },
  { kernel: '6.1', recording: 'text-variants', vmx: 62, svm: 108 },
];

describe('kernelLabels', () => {
  for (const { kernel, recording, vmx, svm } of RECORDINGS) {
    it(`finds both tables of ${kernel}`, () => {
      const labels = kernelLabels(printFmt(recording, 'kvm_exit'));
      assert.equal(labels.vmx.size, vmx);
      assert.equal(labels.svm.size, svm);
      assert.deepEqual([...labels.vmxFlags], [[0x80000000, 'FAILED_VMENTRY']]);
    });

    it(`reads the keys and names of ${kernel}`, () => {
      const { vmx, svm } = kernelLabels(printFmt(recording, 'kvm_exit'));
      assert.equal(vmx.get(0), 'EXCEPTION_NMI');
      assert.equal(vmx.get(48), 'EPT_VIOLATION');
      assert.equal(vmx.get(75), 'NOTIFY');
      assert.equal(svm.get(0), 'read_cr0');
      assert.equal(svm.get(0x40), 'DE excp');
      assert.equal(svm.get(0x4e), 'PF excp');
      assert.equal(svm.get(0x7b), 'io');
      assert.equal(svm.get(0x400), 'npf');
      assert.equal(svm.get(0x80000001), 'vmgexit_mmio_read');
      assert.equal(svm.get(0xffffffff), 'invalid_guest_state');
      assert.equal(svm.get(0x8000fffd), 'vmgexit_hypervisor_feature');
    });
  }

  it('assigns the tables by the condition on isa, not by their order', () => {
    const labels = kernelLabels(
      '"%s", REC->isa == 2 ? __print_symbolic(REC->exit_reason, { 1, "s" }) : __print_symbolic(REC->exit_reason, { 1, "v" })',
    );
    assert.equal(labels.svm.get(1), 's');
    assert.equal(labels.vmx.get(1), 'v');
  });

  it('has no tables if there is no condition on isa', () => {
    const labels = kernelLabels('"reason %s", __print_symbolic(REC->exit_reason, { 1, "x" })');
    assert.equal(labels.vmx.size + labels.svm.size + labels.vmxFlags.size, 0);
  });
});

function printFmt(recording: string, event: string): string {
  return /^print fmt: (.*)$/m.exec(formatTexts(recording).get(event) ?? '')?.[1] ?? '';
}
