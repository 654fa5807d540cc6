import type { KvmProcesses } from './host/kvm-processes.js';
import * as proc from './host/proc.js';
import type { ThreadTable } from './tables/thread-table.js';
import type { Vm } from './tables/vm.js';
import type { VmTable } from './tables/vm-table.js';
import type { NewVm, VmmFinder } from './vmm-finder.js';

export interface VmLivesOptions {
  readonly procfs: string;
  /** False for a saved copy of /proc, in which nothing ends. */
  readonly live: boolean;
  readonly kvm: KvmProcesses | undefined;
  readonly finder: VmmFinder;
  readonly vms: VmTable;
  readonly threads: ThreadTable;
}

/**
 * When a VM starts and when it ends (HOST). A process id is given to another process sooner or later, and the VM of a
 * process may be restarted under its name before a scan has seen its end: so each step asks /proc again.
 */
export class VmLives {
  readonly #root: string;
  readonly #live: boolean;
  readonly #kvm: KvmProcesses | undefined;
  readonly #finder: VmmFinder;
  readonly #vms: VmTable;
  readonly #threads: ThreadTable;

  constructor({ procfs, live, kvm, finder, vms, threads }: VmLivesOptions) {
    this.#root = procfs;
    this.#live = live;
    this.#kvm = kvm;
    this.#finder = finder;
    this.#vms = vms;
    this.#threads = threads;
  }

  /**
   * Returns the VM that a process has become, for {@link start}; stops the VM that it was.
   * @param ranVcpu true if a thread of the process ran a vCPU
   */
  check(pid: number, ranVcpu: boolean, nowMs: number): NewVm | undefined {
    const vm = this.#vms.runningAt(pid);
    if (vm !== undefined) {
      if (this.#finder.isStillRunning(vm)) return undefined;
      this.#stop(vm, nowMs);
    }
    return this.#finder.identify(pid, ranVcpu);
  }

  /** Starts the VMs that were found, without those that are children of a VMM. */
  start(found: readonly NewVm[], nowMs: number): void {
    // A VM that is restarted at once would find its label taken by its own earlier life, whose end no scan has seen.
    if (this.#live) for (const { vm } of found) this.#stopEnded(this.#vms.withLabel(vm.name, vm), nowMs);
    const vmms = new Set(found.map(({ vm }) => vm.pid));
    const isVmm = (pid: number): boolean => vmms.has(pid) || this.#vms.runningAt(pid) !== undefined;
    const started = found.filter(({ parent }) => !isVmm(parent)).map(({ vm }) => vm);
    if (started.length > 0) this.#vms.start(started, nowMs);
  }

  /** The VM has raised an event: its label is final from now on. */
  claimLabel(vm: Vm, nowMs: number): void {
    if (vm.series > 0) return;
    if (this.#live && vm.label !== vm.name) {
      // The process that has its name may have ended since the last scan.
      this.#kvm?.refresh();
      this.#stopEnded(this.#vms.withLabel(vm.name, vm), nowMs);
    }
    this.#vms.claimLabel(vm, this.#live ? this.#uidOf(vm) : -1, nowMs);
  }

  /** Stops the VMs whose process does not exist any more. */
  stopVanished(pids: ReadonlySet<number>, nowMs: number): void {
    if (!this.#live) return;
    for (const vm of this.#vms.running()) if (!pids.has(vm.pid)) this.#stop(vm, nowMs);
    this.#finder.forgetVanished(pids);
  }

  /** The user of a VM's process; -1 if the process has ended: another one may have its id. */
  #uidOf(vm: Vm): number {
    const uid = proc.uidOf(this.#root, vm.pid);
    return proc.readStat(this.#root, vm.pid)?.startTime === vm.startTime ? uid : -1;
  }

  #stopEnded(vms: readonly Vm[], nowMs: number): void {
    for (const vm of vms) if (!this.#finder.isStillRunning(vm)) this.#stop(vm, nowMs);
  }

  #stop(vm: Vm, nowMs: number): void {
    this.#threads.endAll(vm, nowMs);
    this.#vms.stop(vm, nowMs);
  }
}
