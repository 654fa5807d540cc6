/**
 * kvm_cpuid: the guest asks for a CPUID leaf (x86).
 *
 *   text     func 0 idx 0 rax 0 rbx 0 rcx 0 rdx 0, cpuid entry not found
 *            func 40000000 rax 40000001 rbx 4b4d564b rcx 564b4d56 rdx 4d, cpuid entry found     (before 5.7)
 *
 * The first text was recorded on Linux 6.1. Source: arch/x86/kvm/trace.h.
 * Not used: the subleaf (idx) and the answer.
 */
import { CPUID_LEAF } from '../../../trace/sink.js';
import { numberedEvent } from './numbered-event.js';

export const kvmCpuid = numberedEvent({ name: 'kvm_cpuid', kind: CPUID_LEAF, field: 'function', word: 'func ' });
