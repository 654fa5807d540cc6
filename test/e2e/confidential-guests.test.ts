/**
 * Guests that hide their registers, and SMM. Such hardware is not at hand: the lines are made by hand after the
 * kernel's own formats (arch/x86/kvm/trace.h). Which exits and events a TDX guest has: tdcall_to_vmx_exit_reason() and
 * tdx_emulate_*() of arch/x86/kvm/vmx/tdx.c; a SEV guest: sev_handle_vmgexit() of arch/x86/kvm/svm/sev.c.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ReportData } from '../../src/expose/report/report.js';
import { reportOf } from '../support/agent/run-agent.js';
import { temporaryFolder } from '../support/temporary-folder.js';

function report(t: TestContext, events: readonly string[]): ReportData {
  const file = join(temporaryFolder(t, 'confidential'), 'trace.txt');
  const lines = events.map(
    (event, index) => `       CPU 0/KVM-900     [000] d..1.   100.${`${index}`.padStart(6, '0')}: ${event}`,
  );
  writeFileSync(file, `${lines.join('\n')}\n`);
  const data = reportOf(file);
  assert.deepEqual(data.malformed, {});
  return data;
}

const ENTRY = 'kvm_entry: vcpu 0, rip 0x0';
const exit = (reason: string) =>
  `kvm_exit: vcpu 0 reason ${reason} rip 0x0 info1 0x0 info2 0x0 intr_info 0x0 error_code 0x0`;
const toQemu = (reason: string, number: number) => `kvm_userspace_exit: reason ${reason} (${number})`;
const exitsOf = ({ exits }: ReportData) =>
  exits.map(({ layer, reason, count }) => `${layer} ${reason} ${count}`).sort();

test('what a TDX guest asks for by TDCALL is counted as the exit that KVM makes of it, with its MSR, leaf or port', (t) => {
  const data = report(t, [
    ...[ENTRY, exit('CPUID'), 'kvm_cpuid: func 1f idx 0 rax 0 rbx 0 rcx 0 rdx 0, cpuid entry found'],
    ...[ENTRY, exit('MSR_READ'), 'kvm_msr: msr_read 6e0 = 0x0'],
    ...[ENTRY, exit('MSR_WRITE'), 'kvm_msr: msr_write 830 = 0xfd'],
    ...[ENTRY, exit('IO_INSTRUCTION'), 'kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0x41', toQemu('KVM_EXIT_IO', 2)],
    ...[ENTRY, exit('EPT_MISCONFIG'), 'kvm_mmio: mmio write len 4 gpa 0xfe001000 val 0x1', toQemu('KVM_EXIT_MMIO', 6)],
    ...[ENTRY, exit('VMCALL'), 'kvm_hypercall: nr 0xb a0 0x1 a1 0x0 a2 0x0 a3 0x0'],
    // A page becomes shared; a quote; memory that is not there; a fatal error. 39 and 40 have no names in the kernel.
    ...[ENTRY, exit('TDCALL'), toQemu('KVM_EXIT_HYPERCALL', 3)],
    ...[ENTRY, exit('TDCALL'), toQemu('UNKNOWN', 40)],
    ...[ENTRY, exit('EPT_VIOLATION'), toQemu('UNKNOWN', 39)],
    ...[ENTRY, exit('TDCALL'), toQemu('KVM_EXIT_SYSTEM_EVENT', 24)],
  ]);
  assert.deepEqual(exitsOf(data), [
    ...['kvm CPUID 1', 'kvm EPT_MISCONFIG 1', 'kvm EPT_VIOLATION 1', 'kvm IO_INSTRUCTION 1'],
    ...['kvm MSR_READ 1', 'kvm MSR_WRITE 1', 'kvm TDCALL 3', 'kvm VMCALL 1'],
    ...['qemu KVM_EXIT_HYPERCALL 1', 'qemu KVM_EXIT_IO 1', 'qemu KVM_EXIT_MEMORY_FAULT 1', 'qemu KVM_EXIT_MMIO 1'],
    ...['qemu KVM_EXIT_SYSTEM_EVENT 1', 'qemu KVM_EXIT_TDX 1'],
  ]);
  assert.deepEqual(
    [data.msrs, data.cpuid_leaves, data.hypercalls, data.io].map((rows) => rows.length),
    [2, 1, 1, 2],
  );
  assert.deepEqual(data.msrs.map(({ direction, msr }) => `${direction} ${msr}`).sort(), [
    'read IA32_TSC_DEADLINE',
    'write IA32_X2APIC_ICR',
  ]);
  assert.deepEqual(
    data.cpuid_leaves.map(({ leaf }) => leaf),
    ['0x1f'],
  );
});

test('a SEV-ES guest: vmgexit for all, its reasons by GHCB and by MSR, and the leaves and registers in their tables', (t) => {
  const data = report(t, [
    // Before it has a GHCB.
    ...[ENTRY, exit('vmgexit'), 'kvm_vmgexit_msr_protocol_enter: vcpu 0, ghcb_gpa 0000000000000002'],
    ...[ENTRY, exit('vmgexit'), 'kvm_vmgexit_msr_protocol_enter: vcpu 0, ghcb_gpa 8000001f00000004'],
    ...['kvm_cpuid: func 8000001f idx 0 rax 0 rbx 0 rcx 0 rdx 0, cpuid entry found'],
    ...['kvm_vmgexit_msr_protocol_exit: vcpu 0, ghcb_gpa 0000000000000005, result 1'],
    // By GHCB.
    ...[ENTRY, exit('vmgexit'), 'kvm_vmgexit_enter: vcpu 0, exit_reason 72, exit_info1 0, exit_info2 0'],
    ...['kvm_cpuid: func 1 idx 0 rax 0 rbx 0 rcx 0 rdx 0, cpuid entry found'],
    ...['kvm_vmgexit_exit: vcpu 0, exit_reason 0, exit_info1 0, exit_info2 0'],
    ...[ENTRY, exit('vmgexit'), 'kvm_vmgexit_enter: vcpu 0, exit_reason 7c, exit_info1 1, exit_info2 0'],
    ...['kvm_msr: msr_write c0010030 = 0x0'],
    ...[ENTRY, exit('vmgexit'), 'kvm_vmgexit_enter: vcpu 0, exit_reason 80000010, exit_info1 0, exit_info2 0', ENTRY],
  ]);
  assert.deepEqual(exitsOf(data), ['kvm vmgexit 5']);
  assert.deepEqual(data.ghcb_exits.map(({ reason, count }) => `${reason} ${count}`).sort(), [
    'cpuid 1',
    'msr 1',
    'msr_cpuid 1',
    'msr_sev_info 1',
    'vmgexit_page_state_change 1',
  ]);
  assert.deepEqual(data.cpuid_leaves.map(({ leaf }) => leaf).sort(), ['0x1', '0x8000001f']);
  assert.equal(data.msrs.length, 1);
});

test('exits in SMM are counted by their reasons, and the ways into it and out of it are events of their own', (t) => {
  const data = report(t, [
    ...[ENTRY, exit('io'), 'kvm_pio: pio_write at 0xb2 size 1 count 1 val 0x0', toQemu('KVM_EXIT_IO', 2)],
    ...['kvm_smm_transition: vcpu 0: entering SMM, smbase 0x30000', ENTRY, exit('npf'), ENTRY, exit('rsm')],
    ...['kvm_smm_transition: vcpu 0: leaving SMM, smbase 0x30000', ENTRY],
  ]);
  assert.deepEqual(exitsOf(data), ['kvm io 1', 'kvm npf 1', 'kvm rsm 1', 'qemu KVM_EXIT_IO 1']);
  assert.equal(data.tracepoints.kvm_smm_transition, 2);
});
