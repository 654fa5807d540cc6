import { byStart, chooseLabel, type Mutable, type Vm } from './vm.js';

export interface VmChanges {
  readonly started: readonly Vm[];
  readonly stopped: readonly Vm[];
  /**
   * Stopped VMs whose grace period is over, or whose label a new VM has taken: what was counted for them can be
   * dropped.
   */
  readonly forgotten: readonly Vm[];
}

/**
 * The VMs that run, and those that stopped within the grace period (PURE: the inventory fills it in). Collects what
 * changes until `takeChanges` is called.
 */
export class VmTable {
  readonly #running = new Map<number, Mutable<Vm>>();
  #stopped: Vm[] = [];
  /** Running and stopped VMs; undefined after a change. */
  #all: readonly Vm[] | undefined;
  #changes = noChanges();

  /** The running VM of a process. */
  runningAt(pid: number): Vm | undefined {
    return this.#running.get(pid);
  }

  isRunning(vm: Vm): boolean {
    return this.#running.get(vm.pid) === vm;
  }

  running(): Vm[] {
    return [...this.#running.values()];
  }

  all(): readonly Vm[] {
    this.#all ??= [...this.running(), ...this.#stopped];
    return this.#all;
  }

  /**
   * Takes all VMs that were found at one time, so that VMs with the same name get their labels in the order of their
   * start.
   */
  start(vms: readonly Mutable<Vm>[]): void {
    const taken = new Set(this.running().map(({ label }) => label));
    for (const vm of [...vms].sort(byStart)) {
      vm.label = chooseLabel(vm.name, vm.pid, taken);
      taken.add(vm.label);
      // A stopped VM makes room for a running one with its label: their series would be the same.
      this.#forget(this.#stopped.filter((old) => old.label === vm.label));
      this.#running.set(vm.pid, vm);
      this.#changes.started.push(vm);
    }
    this.#all = undefined;
  }

  stop(vm: Vm, nowMs: number): void {
    const running = this.#running.get(vm.pid);
    if (running !== vm) return;
    running.stoppedMs = nowMs;
    this.#running.delete(vm.pid);
    this.#stopped.push(vm);
    this.#changes.stopped.push(vm);
    this.#all = undefined;
  }

  /**
   * Sets a pod that was found after the start: the process of Kata is not in its pod's cgroup, its vCPU threads are.
   */
  setPod(vm: Vm, podUid: string): void {
    const running = this.#running.get(vm.pid);
    if (running === vm) running.podUid = podUid;
  }

  forgetStopped(nowMs: number, graceMs: number): void {
    this.#forget(this.#stopped.filter(({ stoppedMs }) => nowMs - stoppedMs >= graceMs));
  }

  takeChanges(): VmChanges {
    const changes = this.#changes;
    this.#changes = noChanges();
    return changes;
  }

  #forget(vms: readonly Vm[]): void {
    if (vms.length === 0) return;
    this.#stopped = this.#stopped.filter((vm) => !vms.includes(vm));
    this.#changes.forgotten.push(...vms);
    this.#all = undefined;
  }
}

function noChanges(): { started: Vm[]; stopped: Vm[]; forgotten: Vm[] } {
  return { started: [], stopped: [], forgotten: [] };
}
