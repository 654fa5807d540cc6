import { readDebugfsVcpus } from './host/debugfs.js';
import * as proc from './host/proc.js';
import { parseCgroup } from './identify/cgroup.js';
import { vmPidOfKernelThread } from './identify/comm.js';
import type { ThreadTable } from './tables/thread-table.js';
import type { Vm } from './tables/vm.js';
import type { VmTable } from './tables/vm-table.js';

/** A thread that was seen twice is read again in one of so many scans. */
const SCANS_PER_READ = 16;
/** Threads of a VM that are read at once, at 25 us each. Later scans read the rest of tens of thousands. */
const MAX_READS = 1024;

/** Reads the threads of VMs from /proc into the thread table (HOST). */
export class ThreadScanner {
  readonly #root: string;
  readonly #vms: VmTable;
  readonly #threads: ThreadTable;
  #scans = 0;

  constructor(procfs: string, vms: VmTable, threads: ThreadTable) {
    this.#root = procfs;
    this.#vms = vms;
    this.#threads = threads;
  }

  beginScan(): void {
    this.#scans++;
  }

  /** Returns false if the VM's process has just ended; the next scan stops the VM. */
  readThreads(vm: Vm, nowMs: number): boolean {
    const tids = proc.threadIds(this.#root, vm.pid);
    if (tids === undefined) return false;
    let left = MAX_READS;
    for (const tid of tids) if (left > 0 && this.#readThread(vm, tid, nowMs)) left--;
    this.#threads.endUnlisted(vm, new Set(tids), nowMs);
    if (vm.podUid === '' && vm.sandbox !== '') this.#findPod(vm, tids);
    return true;
  }

  /** Assigns kernel threads to the VMs that they work for. `found`: all that exist, by thread id. */
  assignKernelThreads(found: ReadonlyMap<number, proc.Stat>, nowMs: number): void {
    for (const tid of this.#threads.kernelThreads()) if (!found.has(tid)) this.#threads.end(tid, nowMs);
    for (const [tid, { comm, startTime }] of found) {
      const known = this.#threads.find(tid);
      if (known?.startTime === startTime && !known.hasEnded) continue;
      // The name holds the VMM's id as the VMM sees it. A thread that is older than the VM belongs to an earlier
      // process with that id.
      const vm = this.#threads.findNamespaced(undefined, vmPidOfKernelThread(comm))?.vm;
      if (vm === undefined || !this.#vms.isRunning(vm) || vm.startTime > startTime) continue;
      this.#threads.see(vm, { tid, startTime, comm, innerTid: tid, unlisted: true }, nowMs);
    }
  }

  /** Reads the vCPU numbers of threads from KVM's debugfs, if there is a VM whose thread names do not tell them. */
  readVcpus(debugfs: string): void {
    if (this.#vms.running().every((vm) => this.#threads.vcpuCount(vm) > 0)) return;
    // A folder of KVM is named after the thread that created the VM, which may have ended.
    const isWanted = (creator: number) => {
      const vm = this.#threads.find(creator)?.vm;
      return vm === undefined || this.#threads.vcpuCount(vm) === 0;
    };
    for (const [tid, vcpu] of readDebugfsVcpus(debugfs, isWanted)) {
      const thread = this.#threads.find(tid);
      if (thread !== undefined && thread.vcpu < 0) thread.vcpu = vcpu;
    }
  }

  /** Returns false if there was no need to read. */
  #readThread(vm: Vm, tid: number, nowMs: number): boolean {
    const found = this.#threads.find(tid);
    const known = found?.vm === vm ? found : undefined;
    if (known?.settled && !known.hasEnded && (tid + this.#scans) % SCANS_PER_READ !== 0) return false;
    const stat = proc.readThreadStat(this.#root, vm.pid, tid);
    if (stat === undefined) return true;
    const { startTime, comm } = stat;
    const innerTid = known?.startTime === startTime ? known.innerTid : this.#innerTid(vm, tid);
    this.#threads.see(vm, { tid, startTime, comm, innerTid, unlisted: false }, nowMs);
    return true;
  }

  #innerTid(vm: Vm, tid: number): number {
    // If the main thread has one id inside and outside, the VMM shares our namespace, and so do all its threads.
    const main = this.#threads.find(vm.pid);
    if (tid !== vm.pid && main?.vm === vm && main.innerTid === main.tid) return tid;
    return proc.innermostTid(this.#root, vm.pid, tid);
  }

  #findPod(vm: Vm, tids: readonly number[]): void {
    const vcpuTid = tids.find((tid) => (this.#threads.find(tid)?.vcpu ?? -1) >= 0);
    if (vcpuTid === undefined) return;
    const { podUid } = parseCgroup(proc.readThreadCgroup(this.#root, vm.pid, vcpuTid));
    if (podUid !== undefined) this.#vms.setPod(vm, podUid);
  }
}
