import { vcpuOfComm } from '../identify/comm.js';
import { NO_START, type Thread, type Vm } from './vm.js';

/** What was seen of a thread. */
export interface ThreadFacts {
  readonly tid: number;
  readonly startTime: number;
  readonly comm: string;
  /** Thread id in the VM's own pid namespace; `tid` if the VM has none of its own. */
  readonly innerTid: number;
  /** True if /proc does not list the thread with the VM's process: a kernel thread, or known from a recording only. */
  readonly unlisted: boolean;
}

/** A thread of a VM as {@link ThreadTable} keeps it. */
export class ThreadRecord implements Thread {
  readonly tid: number;
  readonly startTime: number;
  readonly vm: Vm;
  readonly innerTid: number;
  readonly unlisted: boolean;
  vcpu: number;
  /** True once an event has named the vCPU: the thread's name is ignored from then on. */
  vcpuFromEvent = false;
  /** True once the thread was seen twice: threads get their names a moment after they start. */
  settled = false;
  /** Time at which the thread was found to have ended; NaN while it lives. */
  endedMs = Number.NaN;
  /** Times of start and end as the kernel's trace has them; NaN if they are not known. */
  originMs = Number.NaN;
  exitMs = Number.NaN;

  constructor(vm: Vm, facts: ThreadFacts) {
    this.vm = vm;
    this.tid = facts.tid;
    this.startTime = facts.startTime;
    this.innerTid = facts.innerTid;
    this.unlisted = facts.unlisted;
    this.vcpu = vcpuOfComm(facts.comm);
  }

  get hasEnded(): boolean {
    return !Number.isNaN(this.endedMs);
  }

  /** True for a thread of the kernel that works for the VM. */
  get isKernelThread(): boolean {
    return this.unlisted && this.startTime !== NO_START;
  }

  seeAgain(comm: string): void {
    this.endedMs = Number.NaN;
    this.exitMs = Number.NaN;
    this.settled = true;
    const vcpu = vcpuOfComm(comm);
    if (!this.vcpuFromEvent && vcpu >= 0) this.vcpu = vcpu;
  }
}
