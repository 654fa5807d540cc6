import type { CollectorSwitches } from '../../trace/collectors.js';
import type { EventForms } from '../format/event-forms.js';
import type { KvmEvent } from '../format/kvm-event.js';
import { kvmApicvInhibit } from './index/kvm-apicv-inhibit.js';
import { kvmCpuid } from './index/kvm-cpuid.js';
import { kvmHvHypercall, kvmHypercall, kvmXenHypercall } from './index/kvm-hypercall.js';
import { kvmMsr } from './index/kvm-msr.js';
import { kvmNestedVmexit } from './index/kvm-nested-vmexit.js';
import { kvmPageFault } from './index/kvm-page-fault.js';
import { kvmVmgexit } from './index/kvm-vmgexit.js';
import { kvmVmgexitMsr } from './index/kvm-vmgexit-msr.js';
import { kvmEntry } from './kvm-entry.js';
import { kvmExit } from './kvm-exit.js';
import { kvmFastMmio } from './kvm-fast-mmio.js';
import { kvmGuestEnter, kvmGuestExit } from './kvm-guest-exit.js';
import { kvmMmio } from './kvm-mmio.js';
import { kvmMsiSetIrq } from './kvm-msi-set-irq.js';
import { kvmPio } from './kvm-pio.js';
import { kvmS390SieEnter, kvmS390SieExit } from './kvm-s390-sie.js';
import { kvmUserspaceExit } from './kvm-userspace-exit.js';
import { SCHED_PROCESS_EXIT, schedProcessExit } from './sched-process-exit.js';
import { TASK_NEWTASK, taskNewtask } from './task-newtask.js';

/**
 * All tracepoints of KVM that are decoded. To add one, write its file after the model of kvm-pio.ts, list it here, and
 * add a method to TraceSink. Any other tracepoint is counted by its name alone.
 *
 * Left out on purpose:
 * - loongarch's kvm_exit_idle and kvm_exit_cache, riscv's kvm_vcpu_exit: each is a second event for
 *   an exit that kvm_exit has reported.
 * - kvm_age_hva, kvm_emulate_insn: they fire millions of times a second and say nothing about exits.
 */
const KVM_EVENTS: readonly KvmEvent[] = [
  kvmExit,
  kvmUserspaceExit,
  kvmS390SieExit,
  kvmGuestExit,
  kvmEntry,
  kvmS390SieEnter,
  kvmGuestEnter,
  kvmPio,
  kvmMmio,
  kvmFastMmio,
  kvmMsiSetIrq,
  kvmMsr,
  kvmCpuid,
  kvmHypercall,
  kvmHvHypercall,
  kvmXenHypercall,
  kvmPageFault,
  kvmNestedVmexit,
  kvmVmgexit,
  kvmVmgexitMsr,
  kvmApicvInhibit,
];

/** Event name -> how its records and its text are read. */
export const EVENT_FORMS: ReadonlyMap<string, EventForms> = new Map<string, EventForms>([
  ...KVM_EVENTS.flatMap((event) => event.names.map((name) => [name, event] as const)),
  [SCHED_PROCESS_EXIT, schedProcessExit],
  [TASK_NEWTASK, taskNewtask],
]);

/**
 * Names that vendors' kernels have beside the usual ones, and the event that each stands for. Such a kernel may raise
 * both for one exit. They are read in saved text only.
 */
export const VENDOR_NAMES: ReadonlyMap<string, string> = new Map([
  ['kvm_exit_v2', 'kvm_exit'],
  ['kvm_entry_v2', 'kvm_entry'],
]);

export const EXIT_NAMES: readonly string[] = [kvmExit, kvmS390SieExit, kvmGuestExit].flatMap(({ names }) => names);
export const ENTRY_NAMES: readonly string[] = [kvmEntry, kvmS390SieEnter, kvmGuestEnter].flatMap(({ names }) => names);

/** Names of the tracepoints that all collectors together need, on all architectures. A kernel has some of them. */
export const ALL_NEEDED_EVENTS: readonly string[] = KVM_EVENTS.flatMap(({ names }) => names);

/** Names of the tracepoints to enable. All other tracepoints stay disabled, so they cost the guests nothing. */
export function neededEvents(collectors: CollectorSwitches): string[] {
  return KVM_EVENTS.filter(
    ({ neededBy }) => neededBy === 'always' || neededBy.some((collector) => collectors[collector]),
  ).flatMap(({ names }) => names);
}
