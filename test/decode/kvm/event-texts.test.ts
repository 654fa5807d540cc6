import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FtraceTextDecoder } from '../../../src/decode/ftrace/text-decoder.js';
import { ShortCallSink } from '../../support/trace/short-call-sink.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

function decode(text: string): string[] {
  const vocabulary = newVocabulary();
  const sink = new ShortCallSink(vocabulary);
  const decoder = new FtraceTextDecoder(vocabulary, sink);
  decoder.push(Buffer.from(text.includes('\n') ? text : `${HEADER}${text}\n`));
  decoder.end();
  return sink.calls;
}

const HEADER = '       CPU 0/KVM-174     [000] d..1.    13.107384: ';

// Texts in the formats of the kernels' TP_printk, by generation. The files in src/decode/kvm name their sources.
const ROWS: [name: string, text: string, want: string | string[]][] = [
  [
    'SVM, 5.10 and later',
    'kvm_exit: vcpu 0 reason npf rip 0xfff0 info1 0x0000000100000014 info2 0x00000000fffffff0 intr_info 0x00000000 error_code 0x00000000',
    'exit vcpu=0 npf 100000014',
  ],
  [
    'VMX with requests (6.x)',
    'kvm_exit: vcpu 3 reason EPT_MISCONFIG rip 0x1 info1 0x0000000000000000 info2 0x0000000000000000 intr_info 0x00000000 error_code 0x00000000 requests 0x0000000000000000',
    'exit vcpu=3 EPT_MISCONFIG 0',
  ],
  [
    'VMX, 5.6 to 5.9',
    'kvm_exit: vcpu 1 reason IO_INSTRUCTION rip 0xffff info e90008 0',
    'exit vcpu=1 IO_INSTRUCTION e90008',
  ],
  [
    'VMX, 3.x to 5.5',
    'kvm_exit: reason EPT_VIOLATION rip 0xffffffff8105 info 181 80000000',
    'exit vcpu=-1 EPT_VIOLATION 181',
  ],
  ['the first kernels', 'kvm_exit: reason EXTERNAL_INTERRUPT rip 0x400', 'exit vcpu=-1 EXTERNAL_INTERRUPT NaN'],
  ['a reason with a blank', 'kvm_exit: vcpu 0 reason UD excp rip 0x1 info1 0x0 info2 0x0', 'exit vcpu=0 UD excp 0'],
  [
    'a failed entry',
    'kvm_exit: vcpu 0 reason INVALID_STATE FAILED_VMENTRY rip 0x1 info1 0x0 info2 0x0',
    'exit vcpu=0 INVALID_STATE FAILED_VMENTRY 0',
  ],
  [
    'a code without a name in the kernel',
    'kvm_exit: vcpu 0 reason 0x1234 rip 0x1 info1 0x0 info2 0x0',
    'exit vcpu=0 0x1234 0',
  ],
  [
    "trace-cmd's plugin",
    'kvm_exit:             reason EXIT_IOIO rip 0xeaba3 info 4020010 eaba4',
    'exit vcpu=-1 io 4020010',
  ],
  ['arm64 trap', 'kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x0000000040080000', 'exit vcpu=-1 DABT_LOW NaN'],
  ['arm64 interrupt', 'kvm_exit: IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0xffff800008012345', 'exit vcpu=-1 IRQ NaN'],
  [
    'an arm64 class without a name in the kernel',
    'kvm_exit: TRAP: HSR_EC: 0x0012 (0x12), PC: 0x0000000040080000',
    'exit vcpu=-1 HVC32 NaN',
  ],
  [
    'riscv guest page fault',
    'kvm_exit: SEPC:0x80200000, SCAUSE:0x17, STVAL:0x0, HTVAL:0x0, HTINST:0x0',
    'exit vcpu=-1 EXC_STORE_GUEST_PAGE_FAULT NaN',
  ],
  [
    'riscv interrupt',
    'kvm_exit: SEPC:0x80200000, SCAUSE:0x8000000000000005, STVAL:0x0, HTVAL:0x0, HTINST:0x0',
    'exit vcpu=-1 IRQ_S_TIMER NaN',
  ],
  [
    "riscv in a vendor's kernel",
    'kvm_exit: EXC: SEPC:0x80200000, SCAUSE:0xa (SUPERVISOR_SYSCALL), STVAL:0x0, HTVAL:0x0, HTINST:0x0',
    'exit vcpu=-1 EXC_SUPERVISOR_SYSCALL NaN',
  ],
  [
    'ppc64 with KVM HV',
    'kvm_guest_exit: VCPU 7: trap=HV_DECREMENTER pc=0xc0000000000b2c34 msr=0x8000000000009033, ceded=0',
    'exit vcpu=7 HV_DECREMENTER NaN',
  ],
  ['ppc64 with KVM HV, enter', 'kvm_guest_enter: VCPU 7: pc=0xc00000000000a1b4 pexcp=0x0 ceded=0', 'entry vcpu=7'],
  [
    'ppc with KVM PR',
    'kvm_exit: exit=DECREMENTER | pc=0xc000000000012345 | msr=0x8000000000009032 | dar=0x0 | srr1=0x0 | last_inst=0x0',
    'exit vcpu=-1 DECREMENTER NaN',
  ],
  ['32-bit arm before 4.2', 'kvm_exit: PC: 0xc0012345', 'exit vcpu=-1 unknown NaN'],
  ['loongarch', 'kvm_exit: [IDLE]PC: 0x90000000', 'exit vcpu=-1 IDLE NaN'],
  [
    's390',
    'kvm_s390_sie_exit: 02[0000000180000000-000000000011a4c0]: exit sie icptcode 4 (Instruction)',
    /^exit vcpu=2 /.source,
  ],
  ['s390 enter', 'kvm_s390_sie_enter: 02[0000000180000000-000000000011a4c0]: entering sie flags 0', 'entry vcpu=2'],
  ['entry before 5.6', 'kvm_entry: vcpu 7', 'entry vcpu=7'],
  [
    'an entry followed by [immediate exit] without a blank',
    'kvm_entry: vcpu 7, rip 0xfff0[immediate exit]',
    'entry vcpu=7',
  ],
  ['entry of arm64', 'kvm_entry: PC: 0x0000000040080000', 'entry vcpu=-1'],
  ['userspace exit', 'kvm_userspace_exit: reason KVM_EXIT_IO (2)', 'userspace KVM_EXIT_IO'],
  [
    'a userspace exit without a name in the kernel',
    'kvm_userspace_exit: reason 0x1f (31)',
    'userspace KVM_EXIT_DIRTY_RING_FULL',
  ],
  ['restart, whose number is an errno', 'kvm_userspace_exit: reason restart (4)', 'userspace restart'],
  ['error, whose number is an errno', 'kvm_userspace_exit: reason error (14)', 'userspace error'],
  ['an errno with a sign', 'kvm_userspace_exit: reason restart (-4)', 'userspace restart'],
  ['OUT', 'kvm_pio: pio_write at 0x402 size 2 count 1 val 0x78 ', 'pio out 402 2'],
  ['IN', 'kvm_pio: pio_read at 0x21 size 1 count 1 val 0x0 ', 'pio in 21 1'],
  [
    'MMIO read that has no answer yet',
    'kvm_mmio: mmio unsatisfied-read len 4 gpa 0xfed000f0 val 0x0',
    'mmio 0 fed000f0',
  ],
  ['MMIO read', 'kvm_mmio: mmio read len 4 gpa 0xfed000f0 val 0x1', 'mmio 1 fed000f0'],
  ['MMIO write', 'kvm_mmio: mmio write len 4 gpa 0xfee00300 val 0x0', 'mmio 2 fee00300'],
  ['ioeventfd', 'kvm_fast_mmio: fast mmio at gpa 0xfe003000', 'fast fe003000'],
  [
    'the start of a thread',
    'task_newtask: pid=190 comm=qemu-system-x86 clone_flags=3d0f00 oom_score_adj=0',
    'start 174 190',
  ],
  ['the start of a process', 'task_newtask: pid=191 comm=sh clone_flags=1200000 oom_score_adj=0', []],
  ['the end of a thread', 'sched_process_exit: comm=CPU 0/KVM pid=174 prio=120', 'end 174'],
  ['MSI', 'kvm_msi_set_irq: dst 0 vec 37 (Fixed|physical|edge)', 'interrupt 174'],
  [
    'marker',
    'tracing_mark_write: kvm_run_exit cpu_index 0, reason 2',
    ['run 174 cpu=0 KVM_EXIT_IO', 'qemu kvm_run_exit'],
  ],
  [
    'marker in trace-cmd',
    'print: tracing_mark_write: kvm_run_exit cpu_index 1, reason 6',
    ['run 174 cpu=1 KVM_EXIT_MMIO', 'qemu kvm_run_exit'],
  ],
  [
    'marker without symbols',
    '0: kvm_run_exit cpu_index 0, reason 5',
    ['run 174 cpu=0 KVM_EXIT_HLT', 'qemu kvm_run_exit'],
  ],
  [
    'marker under an unknown symbol',
    'vfs_write: kvm_run_exit cpu_index 0, reason 5',
    ['run 174 cpu=0 KVM_EXIT_HLT', 'qemu kvm_run_exit'],
  ],
  ['a known number of lost events', 'CPU:1 [LOST 1472 EVENTS]\n', 'lost 1 1472'],
  ['an unknown number of lost events', 'CPU:12 [LOST EVENTS]\n', 'lost 12 -1'],
  ['lost events in the words of trace-cmd', 'CPU:1 [1472 EVENTS DROPPED]\n', 'lost 1 1472'],
  [
    'a number of lost events that no kernel can mean',
    'CPU:1 [LOST 100000000000000000000 EVENTS]\n',
    [`lost 1 ${2 ** 48}`, 'malformed line'],
  ],
  ['an event that is counted by its name alone', 'kvm_fpu: load', []],
  ['a read of an MSR', 'kvm_msr: msr_read 1b = 0xfee00900', 'index 0 1b'],
  ['a write of an MSR', 'kvm_msr: msr_write c0011029 = 0x0 (#GP)', 'index 1 c0011029'],
  ['CPUID', 'kvm_cpuid: func 40000001 idx 0 rax 0 rbx 0 rcx 0 rdx 0, cpuid entry not found', 'index 2 40000001'],
  ['CPUID before 5.7', 'kvm_cpuid: func 7 rax 0 rbx 9c6fbb rcx 0 rdx 0, cpuid entry found', 'index 2 7'],
  ['a hypercall of KVM', 'kvm_hypercall: nr 0x63 a0 0x0 a1 0x0 a2 0x0 a3 0x0', 'index 3 63'],
  [
    'a hypercall of Hyper-V',
    'kvm_hv_hypercall: code 0x14 fast var_cnt 0x0 rep_cnt 0x1 idx 0x0 in 0x0 out 0x0',
    'index 4 14',
  ],
  ['a hypercall of Xen', 'kvm_xen_hypercall: cpl 0 nr 0x1d a0 0x2 a1 0x3 a2 0x0 a3 0x0 a4 0x0 a5 0', 'index 5 1d'],
  ['a hypercall of Xen before 6.3', 'kvm_xen_hypercall: nr 0x1d a0 0x2 a1 0x3 a2 0x0 a3 0x0 a4 0x0 a5 0', 'index 5 1d'],
  ['a page fault', 'kvm_page_fault: vcpu 1 rip 0x0 address 0x0000000000001000 error_code 0x184', 'index 6 184'],
  ['a page fault of SVM, whose code has 64 bits', 'kvm_page_fault: address 1000 error_code 100000014', 'index 6 14'],
  ['a nested exit', 'kvm_nested_vmexit: vcpu 0 reason npf rip 0x1 info1 0x0 info2 0x0', 'index 7 npf'],
  [
    'a nested exit before 5.10',
    'kvm_nested_vmexit: rip: 0xfffff80e reason: EPT_VIOLATION ext_inf1: 0x181 ext_inf2: 0x0 ext_int: 0x0 ext_int_err: 0x0',
    'index 7 EPT_VIOLATION',
  ],
  [
    'a nested exit in trace-cmd',
    'kvm_nested_vmexit:    rip fffff802987d6169 reason EPT_VIOLATION info1 181 info2 0 int_info 0 int_info_err 0',
    'index 7 EPT_VIOLATION',
  ],
  [
    'a nested exit in perf, whose plugin misses two fields',
    `kvm_nested_vmexit: CAN'T FIND FIELD "rip"<CANT FIND FIELD exit_code>vcpu 0 reason EPT_MISCONFIG rip 0xfffff803 info1 0x0 info2 0x0`,
    'index 7 EPT_MISCONFIG',
  ],
  [
    'a request of an encrypted guest',
    'kvm_vmgexit_enter: vcpu 0, exit_reason 7b, exit_info1 3f80031, exit_info2 0',
    'index 8 io',
  ],
  [
    'a request that an encrypted guest made up',
    'kvm_vmgexit_enter: vcpu 0, exit_reason deadbeef, exit_info1 0, exit_info2 0',
    'index 8 unknown',
  ],
  [
    'a request of an encrypted guest by MSR: CPUID leaf 0x8000001f',
    'kvm_vmgexit_msr_protocol_enter: vcpu 0, ghcb_gpa 8000001f00000004',
    'index 8 msr_cpuid',
  ],
  [
    'a request by MSR of a guest that has made it up',
    'kvm_vmgexit_msr_protocol_enter: vcpu 0, ghcb_gpa 0000000000000fff',
    'index 8 unknown',
  ],
  ['a request by MSR that is cut', 'kvm_vmgexit_msr_protocol_enter: vcpu 0, ghcb_gpa', 'malformed arguments'],
  [
    'what begins to keep AVIC off',
    'kvm_apicv_inhibit_changed: set reason=9, inhibits=0x200 PIT_REINJ',
    'apicv PIT_REINJ true',
  ],
  [
    'what ceases to keep AVIC off, by the name that it had',
    `${HEADER}kvm_apicv_inhibit_changed: set reason=9, inhibits=0x300 IRQWIN|PIT_REINJ\n${HEADER}kvm_apicv_inhibit_changed: cleared reason=9, inhibits=0x100 IRQWIN\n`,
    ['apicv PIT_REINJ true', 'apicv PIT_REINJ false'],
  ],
  ['what keeps AVIC off before 6.3', 'kvm_apicv_inhibit_changed: set reason=9, inhibits=0x200', 'apicv 9 true'],
  ['an MSR that is cut', 'kvm_msr: msr_read', 'malformed arguments'],
  ['a nested exit that is cut', 'kvm_nested_vmexit: rip: 0x1 reason: EPT', 'malformed arguments'],
  ['a comment', '# tracer: nop\n', []],
  ['an exit that is cut', 'kvm_exit: vcpu 0 reason npf', 'malformed arguments'],
  ['a format that no kernel prints', 'kvm_exit: vcpu 0, reason EXTERNAL_INTERRUPT (1)', 'malformed arguments'],
  ['a userspace exit that is cut', 'kvm_userspace_exit: reason KVM_EXIT_IO (2', 'malformed arguments'],
  ['a line without a header', 'hello\n', 'malformed line'],
];

for (const [name, text, want] of ROWS) {
  test(`FtraceTextDecoder reads ${name}`, () => {
    const calls = decode(text);
    if (typeof want === 'string' && want.startsWith('^')) assert.match(calls.join('\n'), new RegExp(want));
    else assert.deepEqual(calls.sort(), [want].flat().sort());
  });
}

test('FtraceTextDecoder names a code once a reason with a name has shown whether it is of VMX or SVM', () => {
  const line = (reason: string) => `${HEADER}kvm_exit: vcpu 0 reason ${reason} rip 0x1 info1 0x0 info2 0x0\n`;
  assert.deepEqual(decode(line('0xa2') + line('npf') + line('0xa2')), [
    'exit vcpu=0 0xa2 0',
    'exit vcpu=0 npf 0',
    'exit vcpu=0 invpcid 0',
  ]);
});
