import { ThreadTime, type TracedLegs } from './thread-time.js';
import type { Usage } from './usage.js';
import { addAllTime, type VcpuTime } from './vcpu-time.js';

interface TimeOfVcpu {
  /** -1 if no event named it. */
  readonly vcpu: number;
  readonly time: ThreadTime;
}

const NO_TIME = new ThreadTime();

/** The times of the vCPUs of threads, by thread id; those of ended threads under synthetic ids, by vCPU. */
export class ThreadTimes {
  readonly #live = new Map<number, ThreadTime>();
  readonly #ended = new Map<number, TimeOfVcpu[]>();

  /** Ids of threads, synthetic ones included. */
  *ids(): IterableIterator<number> {
    yield* this.#live.keys();
    yield* this.#ended.keys();
  }

  has(tid: number): boolean {
    return this.#live.has(tid) || this.#ended.has(tid);
  }

  /**
   * Adds an interval of a thread.
   * @param usage undefined at the thread's first reading
   * @param legs undefined if no trace was read in the interval
   */
  add(tid: number, usage: Usage | undefined, legs: TracedLegs | undefined): void {
    const known = this.#live.get(tid);
    const time = known ?? new ThreadTime();
    this.#live.set(tid, time);
    if (usage === undefined || known === undefined) time.begin(legs);
    else time.add(usage, legs);
  }

  /** Moves the time of a live thread to a synthetic id. @param vcpu that the thread ran; -1 if no event named it */
  move(tid: number, vcpu: number, to: number): void {
    const time = this.#live.get(tid);
    this.#live.delete(tid);
    if (time !== undefined) this.#endedTime(to, vcpu).absorb(time);
    for (const ended of this.#ended.get(tid) ?? []) this.#endedTime(to, ended.vcpu).absorb(ended.time);
    this.#ended.delete(tid);
  }

  forget(tid: number): void {
    this.#live.delete(tid);
    this.#ended.delete(tid);
  }

  /** Adds the time of a vCPU with events, as far as this thread ran it. */
  addTraced(tid: number, vcpu: number, legs: TracedLegs, to: VcpuTime): void {
    const time = this.#live.get(tid) ?? this.#ended.get(tid)?.find((own) => own.vcpu === vcpu)?.time;
    if (time !== undefined) addAllTime(to, time.time);
    // A thread that lives gets the rest with its next reading, which shows how much of it was a wait.
    if (legs.provesTime && !this.#live.has(tid)) (time ?? NO_TIME).addRest(legs, to);
  }

  /** The times of a thread's vCPUs that had no events. @param hadEvents called without a vCPU: of any vCPU */
  untraced(tid: number, hadEvents: (vcpu?: number) => boolean): readonly VcpuTime[] {
    const live = this.#live.get(tid);
    if (live !== undefined) return hadEvents() ? [] : [live.time];
    const ended = this.#ended.get(tid) ?? [];
    return ended.flatMap(({ vcpu, time }) => (hadEvents(vcpu) ? [] : [time.time]));
  }

  #endedTime(id: number, vcpu: number): ThreadTime {
    const times = this.#ended.get(id) ?? [];
    this.#ended.set(id, times);
    const known = times.find((own) => own.vcpu === vcpu);
    if (known !== undefined) return known.time;
    const time = new ThreadTime();
    times.push({ vcpu, time });
    return time;
  }
}
