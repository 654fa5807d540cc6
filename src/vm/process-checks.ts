import type { KvmProcesses } from './host/kvm-processes.js';
import type { RecordedThreads } from './recorded-threads.js';
import { NO_START, type Vm } from './tables/vm.js';
import type { VmTable } from './tables/vm-table.js';
import type { ThreadScanner } from './thread-scanner.js';
import type { VmLives } from './vm-lives.js';
import type { VmmFinder } from './vmm-finder.js';

export interface ProcessChecksOptions {
  readonly kvm: KvmProcesses | undefined;
  readonly finder: VmmFinder;
  readonly lives: VmLives;
  readonly scanner: ThreadScanner;
  readonly recorded: RecordedThreads;
  readonly vms: VmTable;
  /** Folder of KVM's debugfs files, for vCPU threads without names. */
  readonly debugfs: string | undefined;
}

/** Looks at processes: starts and stops VMs, and reads the threads of those that run. */
export class ProcessChecks {
  readonly #options: ProcessChecksOptions;

  constructor(options: ProcessChecksOptions) {
    this.#options = options;
  }

  /**
   * Checks the processes that are due in this scan, and reads the threads of all VMs. Returns false if /proc cannot be
   * read: then it is not known which processes still run.
   */
  checkDue(nowMs: number): boolean {
    const { kvm, finder, scanner, lives, vms } = this.#options;
    kvm?.refresh();
    const pids = finder.beginScan();
    scanner.beginScan();
    if (pids === undefined) return false;
    const due = finder.due(pids, (pid) => vms.runningAt(pid) !== undefined);
    const found = due.flatMap((pid) => lives.check(pid, false, nowMs) ?? []);
    lives.stopVanished(new Set(pids), nowMs);
    lives.start(found, nowMs);
    for (const vm of vms.running()) this.#readThreads(vm, nowMs);
    this.completeThreads(nowMs);
    return true;
  }

  /** Checks these processes, and reads the threads of those that are VMs. */
  check(processes: readonly (readonly [pid: number, ranVcpu: boolean])[], nowMs: number): void {
    if (processes.length === 0) return;
    const { kvm, lives, vms } = this.#options;
    kvm?.refresh();
    const found = processes.flatMap(([pid, ranVcpu]) => lives.check(pid, ranVcpu, nowMs) ?? []);
    lives.start(found, nowMs);
    for (const [pid] of processes) {
      const vm = vms.runningAt(pid);
      if (vm !== undefined) this.#readThreads(vm, nowMs);
    }
  }

  /** Adds what a process's own list of threads lacks: kernel threads, and the vCPU numbers that KVM's debugfs knows. */
  completeThreads(nowMs: number): void {
    const { finder, scanner, debugfs } = this.#options;
    scanner.assignKernelThreads(finder.kernelThreads, nowMs);
    if (debugfs !== undefined) scanner.readVcpus(debugfs);
  }

  #readThreads(vm: Vm, nowMs: number): void {
    if (vm.startTime === NO_START) return;
    const { scanner, recorded } = this.#options;
    if (scanner.readThreads(vm, nowMs)) recorded.joinAll(vm);
  }
}
