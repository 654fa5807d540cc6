import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEventFormats } from '../../src/decode/event-format.js';
import { RecordDecoder } from '../../src/decode/record-decoder.js';
import { CallSink } from '../support/call-sink.js';
import { formatText, headerPageText, type PayloadField, payload } from '../support/page-builder.js';
import { formatTexts } from '../support/trace-directory.js';
import { newVocabulary } from '../support/vocabulary.js';

const TID = 42;
const TIME = 1000;
const CPU = 3;
const WHO = `${TIME} ${CPU} ${TID}`;

/** What the sink hears of one record, without the leading call for the tracepoint. */
function decode(format: string, record: Uint8Array, bigEndian = false): string[] {
  const read = readEventFormats(headerPageText(), [format], bigEndian);
  assert.ok('formats' in read);
  assert.deepEqual(read.problems, []);
  const vocabulary = newVocabulary();
  const sink = new CallSink(vocabulary);
  const decoder = new RecordDecoder({ formats: read.formats, vocabulary, sink });
  // The record stands somewhere in memory that is not empty.
  const bytes = new Uint8Array(record.length + 64).fill(0xee);
  bytes.set(record, 20);
  const page = { bytes, view: new DataView(bytes.buffer) };
  decoder.decode(page, 20, 20 + record.length, TIME, CPU);
  const name = /^name: (\S+)/.exec(format)?.[1];
  assert.equal(sink.calls[0], `tracepoint ${WHO} ${name === 'print' ? 'tracing_mark_write' : name}`);
  return sink.calls.slice(1);
}

/** Name, place and size of the fields of a made-up kernel, and the values of one record. */
function decodeFields(
  event: string,
  fields: readonly (readonly [declaration: string, offset: number, size: 1 | 2 | 4 | 8, value: number | bigint])[],
  { printFmt = '""', bigEndian = false }: { readonly printFmt?: string; readonly bigEndian?: boolean } = {},
): string[] {
  const format = formatText(
    event,
    9,
    fields.map(([declaration, offset, size]) => [declaration, offset, size]),
    printFmt,
  );
  const values = fields.map(([, offset, size, value]): PayloadField => [offset, size, value]);
  return decode(format, payload(9, TID, values, { bigEndian }), bigEndian);
}

const recorded = (event: string, recording = 'svm/two-vms-6.12'): string => formatTexts(recording).get(event) ?? '';
const idOf = (format: string): number => Number(/^ID: (\d+)/m.exec(format)?.[1]);

describe('kvm_exit of x86', () => {
  const format = recorded('kvm_exit');
  const exit = (isa: number, reason: number, info1 = 0n): string[] =>
    decode(
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
    [2, 0xa5, 'buslock'], // not in the list of 6.12
    [2, 0x7777, '0x7777'],
    [0, 0x7b, 'io'], // the kernel's text asks for 1 only
    [1, 0, 'EXCEPTION_NMI'],
    [1, 30, 'IO_INSTRUCTION'],
    [1, 49, 'EPT_MISCONFIG'],
    [1, 84, 'MSR_READ_IMM'], // not in the list of 6.12
    [1, 999, '0x3e7'],
    [1, 0x80000021, 'INVALID_STATE FAILED_VMENTRY'],
    [1, 0x0400001e, 'IO_INSTRUCTION 0x4000000'],
    [1, 0x84000021, 'INVALID_STATE FAILED_VMENTRY 0x4000000'],
  ] as const) {
    it(`says ${label} for ${isa === 1 ? 'VMX' : 'SVM'} 0x${code.toString(16)}`, () => {
      assert.deepEqual(exit(isa, code), [`vmExit ${WHO} 2 ${label} 0 ${0xfe05b}`]);
    });
  }

  it('gives info1 and info2 whole', () => {
    assert.deepEqual(exit(2, 0x400, 0x1_0000_0014n), [`vmExit ${WHO} 2 npf ${0x1_0000_0014} ${0xfe05b}`]);
  });

  it('reads other places and sizes, as the format says', () => {
    const calls = decodeFields('kvm_exit', [
      ['u64 exit_reason', 16, 8, 30],
      ['unsigned int guest_rip', 24, 4, 1],
      ['u8 isa', 28, 1, 1],
      ['u32 info1', 32, 4, 0xffffffff],
      ['u32 info2', 36, 4, 7],
      ['u16 vcpu_id', 40, 2, 5],
    ]);
    assert.deepEqual(calls, [`vmExit ${WHO} 5 IO_INSTRUCTION ${0xffffffff} 7`]);
  });

  it('has no vCPU before 5.6', () => {
    const calls = decodeFields('kvm_exit', [
      ['unsigned int exit_reason', 8, 4, 0x7b],
      ['u32 isa', 12, 4, 2],
      ['u64 info1', 16, 8, 1],
      ['u64 info2', 24, 8, 2],
    ]);
    assert.deepEqual(calls, [`vmExit ${WHO} -1 io 1 2`]);
  });

  it('has a bare number where the kernel does not say whose', () => {
    const calls = decodeFields('kvm_exit', [['unsigned int exit_reason', 8, 4, 0x7b]]);
    assert.deepEqual(calls, [`vmExit ${WHO} -1 0x7b NaN NaN`]);
  });

  it("prefers the running kernel's own names, under the label of today", () => {
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
    [2, 0x16, 'HVC64'], // left out of the list above
    [0, 0, 'IRQ'],
    [0xbadca11, 0, 'HYP_GONE'],
    [3, 0, '0x3'],
  ] as const) {
    it(`says ${label} for arm64 ${ret}, class ${ec}`, () => {
      const calls = decodeFields(
        'kvm_exit',
        [
          ['int ret', 8, 4, ret],
          ['unsigned int esr_ec', 12, 4, ec],
          ['unsigned long vcpu_pc', 16, 8, 0x40080000],
        ],
        { printFmt: armPrintFmt },
      );
      assert.deepEqual(calls, [`vmExit ${WHO} -1 ${label} NaN NaN`]);
    });
  }

  // Causes of the privileged specification: 10 ecall from VS, 21 load guest-page fault; interrupt 5 supervisor timer.
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
      assert.deepEqual(words.slice(0, 5), `vmExit ${WHO} -1`.split(' '));
      assert.match(words[5] ?? '', label);
    });
  }

  it('reads loongarch', () => {
    const calls = decodeFields('kvm_exit', [
      ['unsigned long pc', 8, 8, 0],
      ['unsigned int reason', 16, 4, 0x16],
    ]);
    assert.deepEqual(calls, [`vmExit ${WHO} -1 0x16 NaN NaN`]);
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
      assert.deepEqual(calls, [`vmExit ${WHO} 11 I/O request NaN NaN`]);
      assert.deepEqual(decodeFields('kvm_s390_sie_enter', fields.slice(0, 3), { bigEndian }), [`vmEntry ${WHO} 11`]);
    });
  }

  it('counts a kvm_exit that it can not read as a tracepoint', () => {
    assert.deepEqual(decodeFields('kvm_exit', [['unsigned long vcpu_pc', 8, 8, 0]]), []);
  });
});

describe('the way back', () => {
  it('names the vCPU on x86', () => {
    const format = recorded('kvm_entry');
    assert.deepEqual(decode(format, payload(idOf(format), TID, [[8, 4, 6]], { size: 28 })), [`vmEntry ${WHO} 6`]);
  });

  for (const event of ['kvm_entry', 'kvm_enter', 'kvm_reenter']) {
    it(`is an entry without a vCPU too: ${event}`, () => {
      assert.deepEqual(decodeFields(event, [['unsigned long pc', 8, 8, 0]]), [`vmEntry ${WHO} -1`]);
    });
  }
});

describe('kvm_userspace_exit', () => {
  const format = recorded('kvm_userspace_exit');

  for (const [reason, errno, label] of [
    [2, 0, 'KVM_EXIT_IO'],
    [6, 0, 'KVM_EXIT_MMIO'],
    [39, 0, 'KVM_EXIT_MEMORY_FAULT'], // the kernel's own list ends at 30
    [44, 0, '44'],
    [2, -4, 'restart'],
    [10, -11, 'error'],
    [39, -14, 'error'],
    [5, 1, 'KVM_EXIT_HLT'],
  ] as const) {
    it(`says ${label} for reason ${reason}, errno ${errno}`, () => {
      const record = payload(idOf(format), TID, [
        [8, 4, reason],
        [12, 4, errno],
      ]);
      assert.deepEqual(decode(format, record), [`userspaceExit ${WHO} ${label}`]);
    });
  }
});

describe('accesses', () => {
  it('are port writes and reads', () => {
    const format = recorded('kvm_pio');
    const pio = (rw: number): string[] =>
      decode(
        format,
        payload(
          idOf(format),
          TID,
          [
            [8, 4, rw],
            [12, 4, 0x402],
            [16, 4, 2],
          ],
          { size: 28 },
        ),
      );
    assert.deepEqual(pio(1), [`portIo ${WHO} true ${0x402} 2`]);
    assert.deepEqual(pio(0), [`portIo ${WHO} false ${0x402} 2`]);
  });

  it('are MMIO of three kinds, and no other', () => {
    const format = recorded('kvm_mmio');
    const mmio = (type: number): string[] =>
      decode(
        format,
        payload(
          idOf(format),
          TID,
          [
            [8, 4, type],
            [16, 8, 0xfee000b0n],
          ],
          { size: 32 },
        ),
      );
    for (const type of [0, 1, 2]) assert.deepEqual(mmio(type), [`mmio ${WHO} ${type} ${0xfee000b0}`]);
    for (const type of [3, 0xffffffff]) assert.deepEqual(mmio(type), ['malformed record']);
  });

  it('are fast MMIO', () => {
    const format = recorded('kvm_fast_mmio');
    const record = payload(idOf(format), TID, [[8, 8, 0x10_fe00_0000n]]);
    assert.deepEqual(decode(format, record), [`fastMmio ${WHO} ${0x10_fe00_0000}`]);
  });
});

describe("QEMU's markers", () => {
  const format = recorded('print', 'exact/e2-mix');

  for (const [what, text, calls] of [
    [
      'padded',
      'kvm_run_exit cpu_index 0, reason 2\n\0\0\0',
      [`qemuEvent ${TIME} ${TID} kvm_run_exit`, `qemuRunExit ${TIME} ${TID} 0 KVM_EXIT_IO`],
    ],
    [
      'followed by old bytes',
      'kvm_run_exit cpu_index 1, reason 6\n\0x7',
      [`qemuEvent ${TIME} ${TID} kvm_run_exit`, `qemuRunExit ${TIME} ${TID} 1 KVM_EXIT_MMIO`],
    ],
    [
      'of another event',
      'virtio_queue_notify vdev 0x1 n 0 vq 0x2\n\0',
      [`qemuEvent ${TIME} ${TID} virtio_queue_notify`],
    ],
    ['without a NUL', 'virtio_notify vdev 0x123456', [`qemuEvent ${TIME} ${TID} virtio_notify`]],
    ['empty', '', []],
    ["someone else's", '!!\n\0', []],
  ] as const) {
    it(`are read: ${what}`, () => {
      const record = payload(idOf(format), TID, [[8, 8, 0xffffffff81000000n]], { size: 16 + text.length });
      record.set(Buffer.from(text, 'latin1'), 16);
      assert.deepEqual(decode(format, record).sort(), [...calls].sort());
    });
  }
});

describe('short records', () => {
  for (const [event, enough] of [
    ['kvm_exit', 60],
    ['kvm_entry', 12],
    ['kvm_userspace_exit', 16],
    ['kvm_pio', 20],
    ['kvm_mmio', 24],
    ['kvm_fast_mmio', 16],
  ] as const) {
    it(`count as a tracepoint and as malformed: ${event} of less than ${enough} bytes`, () => {
      const format = recorded(event);
      for (let size = 8; size < enough; size++) {
        assert.deepEqual(decode(format, payload(idOf(format), TID, [], { size })), ['malformed record']);
      }
      assert.doesNotMatch(decode(format, payload(idOf(format), TID, [], { size: enough })).join(), /malformed/);
    });
  }
});

describe('everything else', () => {
  it('is a tracepoint', () => {
    assert.deepEqual(decodeFields('kvm_fpu', [['u32 load', 8, 4, 1]]), []);
  });

  it('is not read where fields are missing', () => {
    for (const event of ['kvm_userspace_exit', 'kvm_pio', 'kvm_mmio', 'kvm_fast_mmio', 'print', 'kvm_s390_sie_exit']) {
      assert.deepEqual(decodeFields(event, [['u32 other', 8, 4, 1]]), [], event);
    }
  });

  it('is not read where a field is no number', () => {
    const fields = [
      ['u8 reason[4]', 8, 4, 1],
      ['int errno', 12, 4, 0],
    ] as const;
    assert.deepEqual(decodeFields('kvm_userspace_exit', fields), []);
  });
});
