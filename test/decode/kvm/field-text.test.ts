import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SavedTextDecoder } from '../../../src/decode/ftrace/saved-text-decoder.js';
import { ShortCallSink } from '../../support/trace/short-call-sink.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

// As trace-cmd 3.1.6 prints them with report -R, and print_fields() in kernel/trace/trace_output.c.
const ROWS: [text: string, calls: string | string[]][] = [
  [
    'kvm_exit:              exit_reason=1024 guest_rip=0xfff0 isa=2 info1=0x0000000100000014 info2=0x00000000fffffff0 intr_info=0x00000000 error_code=0x00000000 vcpu_id=3',
    'exit vcpu=3 npf 100000014',
  ],
  [
    'kvm_exit: exit_reason=0x30 (48) guest_rip=0xfff0 (65520) isa=0x1 (1) info1=0x181 (385) info2=0x0 (0) vcpu_id=0x0 (0)',
    'exit vcpu=0 EPT_VIOLATION 181',
  ],
  [
    'kvm_exit: exit_reason=0x80000021 (-2147483615) guest_rip=vmx_vcpu_run+0x3d1/0x14a0 [kvm_intel] (-17) isa=0x1 (1) info1=0x0 info2=0x0 vcpu_id=0x1 (1)',
    'exit vcpu=1 INVALID_STATE FAILED_VMENTRY 0',
  ],
  ['kvm_exit: exit_reason=-1 guest_rip=0x0 isa=2 info1=0 info2=0 vcpu_id=0', 'exit vcpu=0 invalid_guest_state 0'],
  ['kvm_exit: ret=2 esr_ec=0x24 vcpu_pc=0x40080000', 'exit vcpu=-1 DABT_LOW NaN'],
  ['kvm_exit: ret=0 esr_ec=0x0 vcpu_pc=0x40080000', 'exit vcpu=-1 IRQ NaN'],
  [
    'kvm_exit: sepc=0xffffffff80009f30 scause=0x8000000000000005 stval=0x0 htval=0x0 htinst=0x0',
    'exit vcpu=-1 IRQ_S_TIMER NaN',
  ],
  [
    'kvm_exit: sepc=0xffffffff80009f30 scause=0xa stval=0x0 htval=0x0 htinst=0x0',
    'exit vcpu=-1 EXC_SUPERVISOR_SYSCALL NaN',
  ],
  ['kvm_s390_sie_exit: id=2 pswmask=0x180000000 pswaddr=0x11a4c0 icptcode=(28)', 'exit vcpu=2 Wait state NaN'],
  ["kvm_s390_sie_exit: id=2 pswmask=0x180000000 pswaddr=0x11a4c0 icptcode='('(40)", 'exit vcpu=2 Stop request NaN'],
  [
    'kvm_guest_exit: vcpu_id=1 trap=2432 pc=0xc0000000000b2c34 msr=0x8000000000009033 ceded=0',
    'exit vcpu=1 HV_DECREMENTER NaN',
  ],
  ['kvm_entry:             vcpu_id=4 rip=0xfff0 immediate_exit=0', 'entry vcpu=4'],
  ['kvm_userspace_exit:    reason=2 errno=0', 'userspace KVM_EXIT_IO'],
  ['kvm_userspace_exit:    reason=0 errno=-4', 'userspace restart'],
  ['kvm_userspace_exit: reason=0x2 (2) errno=0xfffffffc (-4)', 'userspace restart'],
  ['kvm_userspace_exit: reason=0x2 (2) errno=0xfffffff5 (-11)', 'userspace error'],
  ['kvm_userspace_exit: reason=2 errno=4294967292', 'userspace restart'],
  ['kvm_userspace_exit: errno=0xfffffffc (-4) reason=0x2 (2)', 'userspace restart'],
  ['kvm_pio:               rw=1 port=0x402 size=1 count=1 val=0xe9', 'pio out 402 1'],
  ['kvm_mmio:              type=2 len=4 gpa=0xfee000f0 val=0x1ff', 'mmio 2 fee000f0'],
  ['kvm_mmio: type=0x0 (0) len=0x4 (4) gpa=0x10000000000 (0) val=0x1ff (511)', 'mmio 0 10000000000'],
  ['kvm_fast_mmio:         gpa=0xfe003000', 'fast fe003000'],
  [
    'print:                 ip=0xffffffff812377ff buf=kvm_run_exit cpu_index 0, reason 2',
    ['qemu kvm_run_exit', 'run 142 cpu=0 KVM_EXIT_IO'],
  ],
  ['kvm_exit:              exit_reason=1024 guest_rip=0xfff0', 'exit vcpu=-1 0x400 NaN'],
  ['kvm_pio:               rw=1 size=1', 'malformed arguments'],
  ['kvm_mmio:              type=9 len=4 gpa=0x1 val=0x1', 'malformed record'],
];

for (const [text, calls] of ROWS)
  test(`fields of "${text.slice(0, 80)}"`, () => {
    const vocabulary = newVocabulary();
    const sink = new ShortCallSink(vocabulary);
    const decoder = new SavedTextDecoder(vocabulary, sink);
    decoder.push(Buffer.from(`       CPU 0/KVM-142   [000]     6.359475: ${text}\n`));
    decoder.end();
    assert.deepEqual(sink.calls, [calls].flat());
  });
