import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fieldLabels, parseLabelTables } from '../../../src/decode/format/print-fmt.js';
import { formatTexts } from '../../support/trace/recorded-formats.js';

describe('fieldLabels', () => {
  it('joins several literals in a row', () => {
    const labels = fieldLabels(printFmt('svm/two-vms-6.12', 'kvm_userspace_exit'), 'reason');
    assert.equal(labels.size, 31);
    assert.equal(labels.get(0), 'KVM_EXIT_UNKNOWN');
    assert.equal(labels.get(2), 'KVM_EXIT_IO');
    assert.equal(labels.get(30), 'KVM_EXIT_X86_WRMSR');
  });

  it('finds the table of each field', () => {
    // The print fmt of arm64's kvm_exit, expanded from trace_arm.h.
    const text =
      '"%s: HSR_EC: 0x%04x (%s), PC: 0x%016lx", __print_symbolic(REC->ret, {0, "IRQ" }, {2, "TRAP" }), REC->esr_ec, ' +
      '__print_symbolic(REC->esr_ec, { (0x00), "UNKNOWN" }, { ((0x24UL)), "DABT_LOW" }), REC->vcpu_pc';
    assert.deepEqual(
      [...fieldLabels(text, 'ret')],
      [
        [0, 'IRQ'],
        [2, 'TRAP'],
      ],
    );
    assert.equal(fieldLabels(text, 'esr_ec').get(0x24), 'DABT_LOW');
    assert.equal(fieldLabels(text, 'esr').size, 0);
  });
});

describe('the keys of a table', () => {
  for (const [key, value] of [
    ['7', 7],
    ['0x7b', 0x7b],
    ['0x040 + 14', 0x4e],
    ['-1', 0xffffffff],
    ['(1 << 31)', 0x80000000],
    ['(1UL << 3) | 2', 10],
    ['((0x24UL))', 0x24],
    ['10 - 3', 7],
    ['KVM_EXIT_IO', undefined],
    ['1 +', undefined],
    ['(1', undefined],
    ['', undefined],
    ['1 2', undefined],
    [`${'('.repeat(100)}1${')'.repeat(100)}`, undefined],
  ] as const) {
    it(`read ${JSON.stringify(key.slice(0, 20))} as ${value === undefined ? 'no constant' : value}`, () => {
      const [table] = parseLabelTables(`__print_symbolic(REC->x, { ${key}, "name" }, { 99, "after" })`);
      const expected = value === undefined ? [] : [[value, 'name']];
      assert.deepEqual([...(table?.labels ?? [])], [...expected, [99, 'after']]);
    });
  }
});

describe('parseLabelTables on damaged text', () => {
  for (const [what, text] of [
    ['nothing', ''],
    ['an open macro', '__print_symbolic('],
    ['an open entry', '__print_symbolic(REC->x, { 1, "a'],
    ['an entry without a name', '__print_symbolic(REC->x, { 1 })'],
    ['an open literal', '__print_symbolic(REC->x, "'],
    ['a flood of open macros', '__print_symbolic(('.repeat(50_000)],
    ['a flood of open entries', '__print_flags(REC->x, {'.repeat(50_000)],
  ] as const) {
    it(`finds nothing in ${what}`, () => {
      const labels = parseLabelTables(text).reduce((sum, table) => sum + table.labels.size, 0);
      assert.equal(labels, 0);
    });
  }

  it('uses the first name of a key, as the kernel does', () => {
    const [table] = parseLabelTables('__print_symbolic(REC->x, { 1, "first" }, { 1, "second" })');
    assert.equal(table?.labels.get(1), 'first');
  });

  it('reads quotes and brackets inside names', () => {
    const [table] = parseLabelTables('__print_symbolic(REC->x, { 1, "a \\"b\\" }" }, { 2, "c, d)" })');
    assert.deepEqual(
      [...(table?.labels ?? [])],
      [
        [1, 'a "b" }'],
        [2, 'c, d)'],
      ],
    );
  });
});

function printFmt(recording: string, event: string): string {
  return /^print fmt: (.*)$/m.exec(formatTexts(recording).get(event) ?? '')?.[1] ?? '';
}
