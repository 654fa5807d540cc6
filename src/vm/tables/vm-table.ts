import { surplusOf } from './surplus-vms.js';
import { byStart, chooseLabel, isForeign, isSameMachine, type Mutable, type Vm } from './vm.js';

export interface VmChanges {
  readonly started: readonly Vm[];
  readonly stopped: readonly Vm[];
  /**
   * Stopped VMs whose grace period is over, and whose label no other VM has: what was counted under it can be dropped.
   */
  readonly forgotten: readonly Vm[];
}

/** A guest that runs exits many times a second. After a start of the agent, all of them are found at the same time. */
const FIRST_EVENT_MS = 10_000;
/** Stopped VMs that are kept for the grace period; each takes some 25 KB. A user can start hundreds of VMs a second. */
const MAX_STOPPED = 256;

/**
 * The VMs that run, and those that stopped within the grace period (PURE: the inventory fills it in). Collects what
 * changes until `takeChanges` is called.
 *
 * A VM's label is its name, unless another running VM has that label. The label is provisional until the VM raises its
 * first event: a name belongs to the VM that runs, not to the one that was seen first.
 *
 * VMs of different users can have any name, so they are kept apart: a VM takes no name from an older VM of another
 * user, which has {@link FIRST_EVENT_MS} to raise its first event, and does not continue the series of one that has
 * stopped.
 */
export class VmTable {
  readonly #running = new Map<number, Mutable<Vm>>();
  /** Label -> the running VMs that have it. */
  readonly #byLabel = new Map<string, Set<Mutable<Vm>>>();
  #stopped: Vm[] = [];
  /** Running and stopped VMs; undefined after a change. */
  #all: readonly Vm[] | undefined;
  #changes = noChanges();
  #latestSeries = 0;
  /** When each VM was found. */
  readonly #foundMs = new WeakMap<Vm, number>();

  /** The running VM of a process. */
  runningAt(pid: number): Vm | undefined {
    return this.#running.get(pid);
  }

  isRunning(vm: Vm): boolean {
    return this.#running.get(vm.pid) === vm;
  }

  get runningCount(): number {
    return this.#running.size;
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
  start(vms: readonly Mutable<Vm>[], nowMs = 0): void {
    for (const vm of [...vms].sort(byStart)) {
      this.#foundMs.set(vm, nowMs);
      this.#running.set(vm.pid, vm);
      this.#label(vm, () => true);
      this.#changes.started.push(vm);
    }
    this.#all = undefined;
  }

  /** Running VMs with this label, other than `vm`. */
  withLabel(label: string, vm: Vm): Vm[] {
    return [...(this.#byLabel.get(label) ?? [])].filter((other) => other !== vm);
  }

  /**
   * The VM has raised an event, so its label is final.
   * @param uid user id of its process now, which the VMM may have changed since its start; -1 if it is not known
   */
  claimLabel(vm: Vm, uid = -1, nowMs = 0): void {
    if (isClaimed(vm)) return;
    const claimed: Mutable<Vm> = vm;
    if (uid >= 0) claimed.uid = uid;
    if (this.isRunning(vm)) this.#label(claimed, (other) => isClaimed(other) || this.#mayStillRun(other, vm, nowMs));
    // A VM that has stopped keeps the label that it had while it ran, unless another user's VM has taken it since.
    else claimed.label = chooseLabel(vm.label, vm.pid, (label) => this.#isForeignLabel(label, vm));
    const lives = [...this.#stopped, ...this.withLabel(vm.label, vm)].filter(({ label }) => label === vm.label);
    claimed.series = lives.find(isClaimed)?.series ?? ++this.#latestSeries;
    for (const other of this.withLabel(vm.label, vm)) if (!isClaimed(other)) this.#label(other, () => true);
    // The series of its earlier lives are its own from now on.
    if (this.isRunning(vm)) this.#stopped = this.#stopped.filter(({ label }) => label !== vm.label);
    this.#all = undefined;
  }

  stop(vm: Vm, nowMs: number): void {
    const running = this.#running.get(vm.pid);
    if (running !== vm) return;
    running.stoppedMs = nowMs;
    this.#running.delete(vm.pid);
    this.#unlabel(running);
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

  /**
   * Drops the stopped VMs whose grace period is over, and those that are too many.
   * @param lingerMs a VM that stopped since is kept: its last events may still be in the buffers
   */
  forgetStopped(nowMs: number, graceMs: number, lingerMs: number): void {
    const surplus = new Set(surplusOf(this.#stopped, MAX_STOPPED));
    const isOver = (vm: Vm) => nowMs - vm.stoppedMs >= (surplus.has(vm) ? lingerMs : graceMs);
    const over = this.#stopped.filter(isOver);
    if (over.length === 0) return;
    this.#stopped = this.#stopped.filter((vm) => !isOver(vm));
    const inUse = new Set(this.#stopped.map(({ label }) => label));
    this.#changes.forgotten.push(
      ...over.filter((vm) => !inUse.has(vm.label) && !this.withLabel(vm.label, vm).some(isClaimed)),
    );
    this.#all = undefined;
  }

  takeChanges(): VmChanges {
    const changes = this.#changes;
    this.#changes = noChanges();
    return changes;
  }

  /** True if an older VM of another user was found so lately that its first event may have to come yet. */
  #mayStillRun(other: Vm, vm: Vm, nowMs: number): boolean {
    const foundMs = this.#foundMs.get(other) ?? 0;
    return isForeign(vm, other) && byStart(other, vm) < 0 && nowMs - foundMs < FIRST_EVENT_MS;
  }

  /** True if a VM of another user has raised events under this label, within the grace period. */
  #isForeignLabel(label: string, vm: Vm): boolean {
    return this.all().some((other) => other.label === label && isClaimed(other) && isForeign(vm, other));
  }

  /** Labels a running VM after its name, unless one of the VMs that `counts` accepts has that label. */
  #label(vm: Mutable<Vm>, counts: (other: Vm) => boolean): void {
    this.#unlabel(vm);
    const isTaken = (label: string) =>
      this.withLabel(label, vm).some((other) => counts(other) && !isSameMachine(vm, other)) ||
      this.#isForeignLabel(label, vm);
    vm.label = chooseLabel(vm.name, vm.pid, isTaken);
    const namesakes = this.#byLabel.get(vm.label);
    if (namesakes === undefined) this.#byLabel.set(vm.label, new Set([vm]));
    else namesakes.add(vm);
  }

  #unlabel(vm: Mutable<Vm>): void {
    const namesakes = this.#byLabel.get(vm.label);
    namesakes?.delete(vm);
    if (namesakes?.size === 0) this.#byLabel.delete(vm.label);
  }
}

function isClaimed({ series }: Vm): boolean {
  return series > 0;
}

function noChanges(): { started: Vm[]; stopped: Vm[]; forgotten: Vm[] } {
  return { started: [], stopped: [], forgotten: [] };
}
