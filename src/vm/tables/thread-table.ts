import { type ThreadFacts, ThreadRecord } from './thread-record.js';
import { NO_START, type Vm } from './vm.js';

/** How long a thread that has ended can still be found: its last events are read after its end. */
export const LINGER_MS = 10_000;

/** Longest time by which the clocks of /proc and of the trace may differ. */
const CLOCK_ERROR_MS = 50;

/** Threads that are known only by their end. A process can start and end any number. */
const MAX_ADOPTED = 16_384;

/** Converts the start time of a thread to milliseconds on the agent's clock; NaN if that is impossible. */
export type StartToMs = (startTime: number) => number;

/** Threads that had the same id, the oldest first. Nearly always there is one. */
type Lives = ThreadRecord[];

/**
 * The threads of all VMs, by thread id (PURE: the inventory fills it in). The kernel gives the id of a thread that has
 * ended to another one, while events of the first are still in the buffers. So the threads that had an id are kept for
 * a while, and the time of an event chooses between them.
 */
export class ThreadTable {
  readonly #byTid = new Map<number, Lives>();
  /** Threads in a pid namespace of their own, by the id that they have there. */
  readonly #byInnerTid = new Map<number, Set<ThreadRecord>>();
  /** Threads of the running VMs. */
  readonly #byVm = new Map<Vm, Set<ThreadRecord>>();
  readonly #kernelThreads = new Set<ThreadRecord>();
  readonly #ended = new Set<ThreadRecord>();
  readonly #adopted = new Set<ThreadRecord>();
  #freed: number[] = [];

  /** The latest thread with this id. */
  find(tid: number): ThreadRecord | undefined {
    return this.#byTid.get(tid)?.at(-1);
  }

  /** False if the latest thread with this id has ended, as the kernel's trace shows: it may be another thread's now. */
  isAlive(tid: number): boolean {
    const thread = this.find(tid);
    return thread !== undefined && Number.isNaN(thread.exitMs);
  }

  /**
   * The thread that had this id at a time.
   * @param atMs NaN: the time is not known, so it is the latest one
   * @param errorMs how much earlier than `toMs` says a thread may have started
   */
  findAt(tid: number, atMs: number, toMs: StartToMs, errorMs: number): ThreadRecord | undefined {
    const lives = this.#byTid.get(tid);
    if (lives === undefined || Number.isNaN(atMs)) return lives?.at(-1);
    const isFrom = ({ exitMs }: ThreadRecord, index: number) => {
      if (!Number.isNaN(exitMs)) return atMs <= exitMs;
      const next = lives[index + 1];
      return next === undefined || atMs < toMs(next.startTime);
    };
    const thread = lives.find(isFrom);
    const isLater = thread !== undefined && (atMs < thread.originMs || atMs < toMs(thread.startTime) - errorMs);
    return isLater ? undefined : thread;
  }

  /** The thread raised its last event, at `atMs`: a thread that started later has only its id. */
  exit(tid: number, atMs: number, toMs: StartToMs): void {
    const isLater = ({ startTime }: ThreadRecord) => startTime !== NO_START && toMs(startTime) - atMs > CLOCK_ERROR_MS;
    const thread = this.#byTid.get(tid)?.find((life) => Number.isNaN(life.exitMs) && !isLater(life));
    if (thread === undefined) return;
    thread.exitMs = atMs;
    this.#end(thread, atMs);
  }

  /**
   * The thread with this id on the host, else the live thread with this id in its VM's own pid namespace; in process
   * `pid` (an id of the host) or, if that is undefined, in any. Undefined if the threads of several VMs have the id.
   */
  findNamespaced(pid: number | undefined, tid: number): ThreadRecord | undefined {
    const onHost = this.find(tid);
    if (onHost !== undefined && (pid === undefined || onHost.vm.pid === pid)) return onHost;
    let found: ThreadRecord | undefined;
    for (const thread of this.#byInnerTid.get(tid) ?? []) {
      if (thread.hasEnded || (pid !== undefined && thread.vm.pid !== pid)) continue;
      if (found !== undefined) return undefined;
      found = thread;
    }
    return found;
  }

  /** Number of vCPUs of a running VM whose threads are known. */
  vcpuCount(vm: Vm): number {
    const vcpus = new Set<number>();
    for (const { vcpu, hasEnded } of this.#byVm.get(vm) ?? []) if (vcpu >= 0 && !hasEnded) vcpus.add(vcpu);
    return vcpus.size;
  }

  /** The threads of running VMs that run vCPUs. */
  *vcpuThreads(): IterableIterator<ThreadRecord> {
    for (const threads of this.#byVm.values())
      for (const thread of threads) if (thread.vcpu >= 0 && !thread.hasEnded) yield thread;
  }

  /** Ids of the kernel threads that work for a VM. */
  kernelThreads(): number[] {
    return Array.from(this.#kernelThreads, ({ tid }) => tid);
  }

  /** A thread of a running VM was seen, at `nowMs`. It follows another thread with the same id. */
  see(vm: Vm, facts: ThreadFacts, nowMs: number): void {
    const known = this.find(facts.tid);
    if (known?.vm !== vm || known.startTime !== facts.startTime) this.#add(vm, facts, nowMs);
    else {
      known.seeAgain(facts.comm);
      this.#ended.delete(known);
      if (known.isKernelThread) this.#kernelThreads.add(known);
    }
  }

  #add(vm: Vm, facts: ThreadFacts, nowMs: number): ThreadRecord {
    const known = this.find(facts.tid);
    if (known !== undefined) {
      this.#end(known, nowMs);
      if (Number.isNaN(known.exitMs)) this.#freed.push(known.tid);
    }
    const thread = new ThreadRecord(vm, facts);
    const lives = this.#byTid.get(facts.tid);
    if (lives === undefined) this.#byTid.set(facts.tid, [thread]);
    else lives.push(thread);
    addTo(this.#byVm, vm, thread);
    if (thread.isKernelThread) this.#kernelThreads.add(thread);
    if (facts.innerTid !== facts.tid) addTo(this.#byInnerTid, facts.innerTid, thread);
    return thread;
  }

  /** An event named the vCPU that a thread runs. */
  setVcpu(tid: number, vcpu: number): void {
    const thread = this.find(tid);
    if (thread === undefined) return;
    thread.vcpu = vcpu;
    thread.vcpuFromEvent = true;
  }

  /** `tids` are all threads that /proc lists with the VM's process: other listed threads of the VM have ended. */
  endUnlisted(vm: Vm, tids: ReadonlySet<number>, nowMs: number): void {
    for (const thread of this.#byVm.get(vm) ?? [])
      if (!thread.unlisted && !tids.has(thread.tid)) this.#end(thread, nowMs);
  }

  end(tid: number, nowMs: number): void {
    const thread = this.find(tid);
    if (thread !== undefined) this.#end(thread, nowMs);
  }

  /** The VM has stopped. */
  endAll(vm: Vm, nowMs: number): void {
    for (const thread of this.#byVm.get(vm) ?? []) this.#end(thread, nowMs);
    this.#byVm.delete(vm);
  }

  /**
   * Adds a thread of the VM that lived from `originMs` to `endMs` and was not seen. If there are too many, the oldest
   * is dropped.
   */
  adopt(vm: Vm, tid: number, originMs: number, endMs: number, nowMs: number): void {
    const thread = this.#add(vm, { tid, startTime: NO_START, comm: '', innerTid: tid, unlisted: true }, nowMs);
    thread.originMs = originMs;
    thread.exitMs = endMs;
    this.#end(thread, endMs);
    this.#adopted.add(thread);
    const [oldest] = this.#adopted;
    if (oldest !== undefined && this.#adopted.size > MAX_ADOPTED) this.#drop(oldest);
  }

  dropEnded(nowMs: number): void {
    for (const thread of this.#ended) if (nowMs - thread.endedMs >= LINGER_MS) this.#drop(thread);
  }

  /**
   * Ids since the last call whose thread has ended without the kernel's word: the kernel may have given, or give, each
   * to another thread.
   */
  takeFreed(): readonly number[] {
    const freed = this.#freed;
    this.#freed = [];
    return freed;
  }

  #end(thread: ThreadRecord, nowMs: number): void {
    if (thread.hasEnded) return;
    thread.endedMs = nowMs;
    this.#kernelThreads.delete(thread);
    this.#ended.add(thread);
  }

  #drop(thread: ThreadRecord): void {
    const lives = this.#byTid.get(thread.tid) ?? [];
    if (lives.at(-1) === thread && Number.isNaN(thread.exitMs)) this.#freed.push(thread.tid);
    const rest = lives.filter((life) => life !== thread);
    if (rest.length === 0) this.#byTid.delete(thread.tid);
    else this.#byTid.set(thread.tid, rest);
    this.#ended.delete(thread);
    this.#adopted.delete(thread);
    this.#kernelThreads.delete(thread);
    const ofVm = this.#byVm.get(thread.vm);
    ofVm?.delete(thread);
    if (ofVm?.size === 0) this.#byVm.delete(thread.vm);
    const namesakes = this.#byInnerTid.get(thread.innerTid);
    namesakes?.delete(thread);
    if (namesakes?.size === 0) this.#byInnerTid.delete(thread.innerTid);
  }
}

function addTo<Key>(sets: Map<Key, Set<ThreadRecord>>, key: Key, thread: ThreadRecord): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([thread]));
  else set.add(thread);
}
