import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { payload } from '../../support/trace/page-builder.js';
import { decodeFields, decodeRecord, idOf, recordedFormat, TID, WHERE } from '../../support/trace/record-calls.js';

describe('kvm_exit of x86', () => {
  const format = recordedFormat('kvm_exit');
  const exit = (isa: number, reason: number, info1 = 0n): string[] =>
    decodeRecord(
      format,
      payload(idOf(format), TID, [
        [8, 4, reason],
        [24, 4, isa],
        [32, 8, info1],
        [40, 8, 0xfe05bn],
        [56, 4, 2],
      ]),
    );

  for (const [isa, code, label] of [
    [2, 0x7b, 'io'],
    [2, 0x4e, 'PF excp'],
    [2, 0x400, 'npf'],
    [2, 0xffffffff, 'invalid_guest_state'],
    [2, 0x80000001, 'vmgexit_mmio_read'],
    [2, 0xa5, 'buslock'], // not in the print fmt of 6.12
    [2, 0x7777, '0x7777'],
    [0, 0x7b, 'io'], // the kernel's own text tests for 1 only
    [1, 0, 'EXCEPTION_NMI'],
    [1, 30, 'IO_INSTRUCTION'],
    [1, 49, 'EPT_MISCONFIG'],
    [1, 84, 'MSR_READ_IMM'], // not in the print fmt of 6.12
    [1, 999, '0x3e7'],
    [1, 0x80000021, 'INVALID_STATE FAILED_VMENTRY'],
    [1, 0x0400001e, 'IO_INSTRUCTION 0x4000000'],
    [1, 0x84000021, 'INVALID_STATE FAILED_VMENTRY 0x4000000'],
  ] as const) {
    it(`reports ${label} for ${isa === 1 ? 'VMX' : 'SVM'} 0x${code.toString(16)}`, () => {
      assert.deepEqual(exit(isa, code), [`vmExit ${WHERE} 2 ${label} 0`]);
    });
  }

  it('reports all 64 bits of info1', () => {
    assert.deepEqual(exit(2, 0x400, 0x1_0000_0014n), [`vmExit ${WHERE} 2 npf ${0x1_0000_0014}`]);
  });

  it('reads fields at the offsets and sizes of the format', () => {
    const calls = decodeFields('kvm_exit', [
      ['u64 exit_reason', 16, 8, 30],
      ['unsigned int guest_rip', 24, 4, 1],
      ['u8 isa', 28, 1, 1],
      ['u32 info1', 32, 4, 0xffffffff],
      ['u32 info2', 36, 4, 7],
      ['u16 vcpu_id', 40, 2, 5],
    ]);
    assert.deepEqual(calls, [`vmExit ${WHERE} 5 IO_INSTRUCTION ${0xffffffff}`]);
  });

  it('has no vCPU before 5.6', () => {
    const calls = decodeFields('kvm_exit', [
      ['unsigned int exit_reason', 8, 4, 0x7b],
      ['u32 isa', 12, 4, 2],
      ['u64 info1', 16, 8, 1],
      ['u64 info2', 24, 8, 2],
    ]);
    assert.deepEqual(calls, [`vmExit ${WHERE} -1 io 1`]);
  });

  it('reports a number if the kernel has no isa field', () => {
    const calls = decodeFields('kvm_exit', [['unsigned int exit_reason', 8, 4, 0x7b]]);
    assert.deepEqual(calls, [`vmExit ${WHERE} -1 0x7b NaN`]);
  });

  it("prefers the running kernel's own names, and replaces old names by today's", () => {
    const printFmt =
      '"%s", (REC->isa == 1) ? __print_symbolic(REC->exit_reason, { 7, "PENDING_INTERRUPT" }, { 3, "NEW_NAME" }) : "x"';
    const fields = (code: number) =>
      [
        ['unsigned int exit_reason', 8, 4, code],
        ['u32 isa', 12, 4, 1],
      ] as const;
    assert.match(decodeFields('kvm_exit', fields(3), { printFmt })[0] ?? '', / NEW_NAME /);
    assert.match(decodeFields('kvm_exit', fields(7), { printFmt })[0] ?? '', / INTERRUPT_WINDOW /);
  });
});

describe('kvm_exit of other architectures', () => {
  const armPrintFmt =
    '"%s: HSR_EC: 0x%04x (%s)", __print_symbolic(REC->ret, { 0, "IRQ" }, { 1, "SERROR" }, { 2, "TRAP" }, { 0xbadca11, ' +
    '"HYP_GONE" }), REC->esr_ec, __print_symbolic(REC->esr_ec, { (0x01), "WFx" }, { (0x24), "DABT_LOW" })';

  for (const [ret, ec, label] of [
    [2, 0x24, 'DABT_LOW'],
    [2, 0x01, 'WFx'],
    [2, 0x16, 'HVC64'], // not in the list above
    [0, 0, 'IRQ'],
    [0xbadca11, 0, 'HYP_GONE'],
    [3, 0, '0x3'],
  ] as const) {
    it(`reports ${label} for arm64 ${ret}, class ${ec}`, () => {
      const calls = decodeFields(
        'kvm_exit',
        [
          ['int ret', 8, 4, ret],
          ['unsigned int esr_ec', 12, 4, ec],
          ['unsigned long vcpu_pc', 16, 8, 0x40080000],
        ],
        { printFmt: armPrintFmt },
      );
      assert.deepEqual(calls, [`vmExit ${WHERE} -1 ${label} NaN`]);
    });
  }

  // From the privileged specification: 10 is an ecall from VS, 21 a load guest-page fault, interrupt 5 the supervisor
  // timer.
  for (const [scause, size, label] of [
    [10n, 8, /ECALL|SYSCALL/i],
    [21n, 8, /LOAD/i],
    [(1n << 63n) + 5n, 8, /^IRQ_.*TIMER/i],
    [(1n << 31n) + 5n, 4, /^IRQ_.*TIMER/i],
  ] as const) {
    it(`names riscv's scause 0x${scause.toString(16)}`, () => {
      const calls = decodeFields('kvm_exit', [
        ['unsigned long sepc', 8, 8, 0],
        ['unsigned long scause', 16, size, scause],
      ]);
      const words = (calls[0] ?? '').split(' ');
      assert.deepEqual(words.slice(0, 5), `vmExit ${WHERE} -1`.split(' '));
      assert.match(words[5] ?? '', label);
    });
  }

  it('reads loongarch', () => {
    const calls = decodeFields('kvm_exit', [
      ['unsigned long pc', 8, 8, 0],
      ['unsigned int reason', 16, 4, 0x16],
    ]);
    assert.deepEqual(calls, [`vmExit ${WHERE} -1 0x16 NaN`]);
  });

  it("does not count loongarch's second record of an idle exit", () => {
    assert.deepEqual(decodeFields('kvm_exit_idle', [['unsigned int reason', 8, 4, 64]]), []);
  });

  for (const bigEndian of [true, false]) {
    it(`reads s390, ${bigEndian ? 'big' : 'little'}-endian`, () => {
      const fields = [
        ['int id', 8, 4, 11],
        ['unsigned long pswmask', 16, 8, 0],
        ['unsigned long pswaddr', 24, 8, 0],
        ['u8 icptcode', 32, 1, 0x18],
      ] as const;
      const calls = decodeFields('kvm_s390_sie_exit', fields, { bigEndian });
      assert.deepEqual(calls, [`vmExit ${WHERE} 11 I/O request NaN`]);
      assert.deepEqual(decodeFields('kvm_s390_sie_enter', fields.slice(0, 3), { bigEndian }), [`vmEntry ${WHERE} 11`]);
    });
  }

  it('counts a kvm_exit with fields that give no reason, as 32-bit arm has them', () => {
    assert.deepEqual(decodeFields('kvm_exit', [['unsigned long vcpu_pc', 8, 8, 0]]), [
      `vmExit ${WHERE} -1 unknown NaN`,
    ]);
  });

  // Names: kvm_trace_symbol_exit in arch/powerpc/kvm/trace_book3s.h and trace_booke.h (Linux 6.x).
  for (const [code, label] of [
    [0x980, 'HV_DECREMENTER'],
    [0xc00, 'SYSCALL'],
    [13, 'DTLB_MISS'],
    [0x1234, '0x1234'],
  ] as const)
    it(`reads ppc's exit 0x${code.toString(16)}, of KVM PR and of KVM HV`, () => {
      assert.deepEqual(
        decodeFields('kvm_exit', [
          ['unsigned int exit_nr', 8, 4, code],
          ['unsigned long pc', 16, 8, 0],
        ]),
        [`vmExit ${WHERE} -1 ${label} NaN`],
      );
      assert.deepEqual(
        decodeFields('kvm_guest_exit', [
          ['int vcpu_id', 8, 4, 3],
          ['int trap', 12, 4, code],
        ]),
        [`vmExit ${WHERE} 3 ${label} NaN`],
      );
    });
});
