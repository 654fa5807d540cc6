/**
 * The VMs and threads known by now (PURE: told by the inventory, reads nothing itself).
 *
 * A thread that is gone answers a little longer ({@link LINGER_MS}), because its last events are still on their way; a stopped VM is
 * kept for the grace period. `changes` gathers what happened until somebody takes it.
 */
import { vcpuOfComm } from './identify/comm.js';
import { byStart, labelOf, type Mutable, NO_START, type Thread, type Vm } from './vm.js';

export interface Changes {
  readonly started: readonly Vm[];
  readonly stopped: readonly Vm[];
  /** Stopped, and its grace period over or started again: what is kept of it can go. */
  readonly forgotten: readonly Vm[];
  /** These ids no longer mean the thread they meant, which is gone for good: look them up again. */
  readonly reusedTids: readonly number[];
}

/** How a thread was noticed. `outside` the process' own list of threads: the kernel's threads, recordings. */
export interface ThreadFacts {
  readonly tid: number;
  readonly startTime: number;
  readonly comm: string;
  /** Its id for itself; `tid` where the VM is in no pid namespace of its own. */
  readonly innerTid: number;
  readonly outside: boolean;
}

/** How long a thread that is gone is still found. */
const LINGER_MS = 10_000;

export class ThreadRecord implements Thread {
  readonly tid: number;
  readonly startTime: number;
  readonly vm: Vm;
  readonly innerTid: number;
  readonly outside: boolean;
  vcpu: number;
  /** An event said which vCPU it is: names are not asked any more. */
  learned = false;
  /** Seen at least twice: threads get their names a moment after they start. */
  settled = false;
  goneMs = Number.NaN;

  constructor(vm: Vm, facts: ThreadFacts) {
    this.vm = vm;
    this.tid = facts.tid;
    this.startTime = facts.startTime;
    this.innerTid = facts.innerTid;
    this.outside = facts.outside;
    this.vcpu = vcpuOfComm(facts.comm);
  }

  get gone(): boolean {
    return !Number.isNaN(this.goneMs);
  }
}

interface Life {
  readonly vm: Mutable<Vm>;
  readonly threads: Set<ThreadRecord>;
}

export class ThreadTable {
  readonly #live = new Map<number, Life>();
  readonly #threads = new Map<number, ThreadRecord>();
  /** By their own idea of their id, those who have another one. */
  readonly #inner = new Map<number, Set<ThreadRecord>>();
  readonly #helpers = new Set<ThreadRecord>();
  readonly #gone = new Set<ThreadRecord>();
  #stopped: Vm[] = [];
  #all: readonly Vm[] | undefined;
  #changes = noChanges();

  find(tid: number): ThreadRecord | undefined {
    return this.#threads.get(tid);
  }

  /** The living thread with this inner id, of the process `pid` or of any; undefined where several have it. */
  findInner(pid: number | undefined, tid: number): ThreadRecord | undefined {
    let found: ThreadRecord | undefined;
    for (const thread of this.#inner.get(tid) ?? []) {
      if (thread.gone || (pid !== undefined && thread.vm.pid !== pid)) continue;
      if (found !== undefined) return undefined;
      found = thread;
    }
    return found;
  }

  /** Of the living. */
  vmOf(pid: number): Vm | undefined {
    return this.#live.get(pid)?.vm;
  }

  live(): Vm[] {
    return Array.from(this.#live.values(), ({ vm }) => vm);
  }

  /** The living and those in their grace period. */
  vms(): readonly Vm[] {
    this.#all ??= [...this.live(), ...this.#stopped];
    return this.#all;
  }

  /** vCPUs of a living VM whose thread is known. */
  vcpuCount(vm: Vm): number {
    const vcpus = new Set<number>();
    for (const thread of this.#lifeOf(vm)?.threads ?? []) if (thread.vcpu >= 0 && !thread.gone) vcpus.add(thread.vcpu);
    return vcpus.size;
  }

  /** Takes all that were found at one time, so that those of one name are labelled in the order of their start. */
  start(vms: readonly Mutable<Vm>[]): void {
    const taken = new Set(this.live().map(({ label }) => label));
    for (const vm of [...vms].sort(byStart)) {
      vm.label = labelOf(vm.name, vm.pid, taken);
      taken.add(vm.label);
      this.#replace(vm.label);
      this.#live.set(vm.pid, { vm, threads: new Set() });
      this.#changes.started.push(vm);
    }
    this.#all = undefined;
  }

  stop(pid: number, nowMs: number): void {
    const life = this.#live.get(pid);
    if (life === undefined) return;
    life.vm.stoppedMs = nowMs;
    for (const thread of life.threads) this.#leave(thread, nowMs);
    this.#live.delete(pid);
    this.#stopped.push(life.vm);
    this.#changes.stopped.push(life.vm);
    this.#all = undefined;
  }

  /** A pod that became known later: Kata's process is not in its pod's cgroup, its vCPU threads are. */
  setPod(vm: Vm, podUid: string): void {
    const life = this.#lifeOf(vm);
    if (life !== undefined) life.vm.podUid = podUid;
  }

  see(vm: Vm, facts: ThreadFacts): void {
    const life = this.#lifeOf(vm);
    if (life === undefined) return;
    const known = this.#threads.get(facts.tid);
    if (known !== undefined && known.vm === vm && known.startTime === facts.startTime) {
      this.#seeAgain(known, facts.comm);
      return;
    }
    if (known !== undefined) this.#drop(known);
    const thread = new ThreadRecord(vm, facts);
    this.#threads.set(facts.tid, thread);
    life.threads.add(thread);
    if (thread.outside && thread.startTime !== NO_START) this.#helpers.add(thread);
    if (facts.innerTid === facts.tid) return;
    const namesakes = this.#inner.get(facts.innerTid);
    if (namesakes === undefined) this.#inner.set(facts.innerTid, new Set([thread]));
    else namesakes.add(thread);
  }

  learn(tid: number, vcpu: number): void {
    const thread = this.#threads.get(tid);
    if (thread === undefined) return;
    thread.vcpu = vcpu;
    thread.learned = true;
  }

  /** All threads that the process has; others of it are gone. */
  sweep(vm: Vm, tids: ReadonlySet<number>, nowMs: number): void {
    for (const thread of this.#lifeOf(vm)?.threads ?? []) {
      if (!thread.outside && !thread.gone && !tids.has(thread.tid)) this.#leave(thread, nowMs);
    }
  }

  /** The kernel's own threads that were seen to work for a VM. */
  helpers(): number[] {
    return Array.from(this.#helpers, ({ tid }) => tid);
  }

  /** One of them has ended. */
  leave(tid: number, nowMs: number): void {
    const thread = this.#threads.get(tid);
    if (thread !== undefined) this.#leave(thread, nowMs);
  }

  expire(nowMs: number, graceMs: number): void {
    for (const thread of this.#gone) if (nowMs - thread.goneMs >= LINGER_MS) this.#drop(thread);
    this.#forget(this.#stopped.filter(({ stoppedMs }) => nowMs - stoppedMs >= graceMs));
  }

  takeChanges(): Changes {
    const changes = this.#changes;
    this.#changes = noChanges();
    return changes;
  }

  /** Started again under its old label: what stopped makes room, as two of one label can't be told apart. */
  #replace(label: string): void {
    this.#forget(this.#stopped.filter((old) => old.label === label));
  }

  #forget(vms: readonly Vm[]): void {
    if (vms.length === 0) return;
    this.#stopped = this.#stopped.filter((vm) => !vms.includes(vm));
    this.#changes.forgotten.push(...vms);
    this.#all = undefined;
  }

  #lifeOf(vm: Vm): Life | undefined {
    const life = this.#live.get(vm.pid);
    return life?.vm === vm ? life : undefined;
  }

  #seeAgain(thread: ThreadRecord, comm: string): void {
    if (thread.gone) {
      thread.goneMs = Number.NaN;
      this.#gone.delete(thread);
      if (thread.outside && thread.startTime !== NO_START) this.#helpers.add(thread);
    }
    thread.settled = true;
    const vcpu = vcpuOfComm(comm);
    if (!thread.learned && vcpu >= 0) thread.vcpu = vcpu;
  }

  #leave(thread: ThreadRecord, nowMs: number): void {
    if (thread.gone) return;
    thread.goneMs = nowMs;
    this.#helpers.delete(thread);
    this.#gone.add(thread);
  }

  #drop(thread: ThreadRecord): void {
    this.#changes.reusedTids.push(thread.tid);
    this.#gone.delete(thread);
    this.#helpers.delete(thread);
    this.#threads.delete(thread.tid);
    this.#live.get(thread.vm.pid)?.threads.delete(thread);
    const namesakes = this.#inner.get(thread.innerTid);
    namesakes?.delete(thread);
    if (namesakes?.size === 0) this.#inner.delete(thread.innerTid);
  }
}

function noChanges(): { started: Vm[]; stopped: Vm[]; forgotten: Vm[]; reusedTids: number[] } {
  return { started: [], stopped: [], forgotten: [], reusedTids: [] };
}
