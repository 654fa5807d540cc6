import { tellsGuestTime } from './kvm-flavour.js';
import { type ThreadUsage, UsageReader, type VcpuThread } from './usage-reader.js';

export interface UsageListener {
  /** The threads that run vCPUs now. */
  threads(): Iterable<VcpuThread>;
  /** False if run time by kind is known from elsewhere. */
  needsTicks(tid: number): boolean;
  /**
   * @param usage undefined at the thread's first reading
   * @param countedToMs the time given to {@link UsageRounds.read}
   */
  add(tid: number, usage: ThreadUsage | undefined, countedToMs: number | undefined): void;
}

const MIN_PERIOD_MS = 2000;
/** Shortest period of rounds that snapshots ask for. */
const MIN_SNAPSHOT_PERIOD_MS = 200;
/**
 * Most of a CPU that rounds take: those of their own, and those that snapshots ask for. The first is 1 % in all:
 * garbage collection and compilation run outside of the calls that are measured here, and take a fifth as much again.
 */
const MAX_CPU = 0.008;
const MAX_CPU_OF_SNAPSHOTS = 0.05;
/** Threads read between two looks at the clock. */
const THREADS_PER_LOOK = 8;

/**
 * Reads the usage of all vCPU threads, in rounds. A round is divided among many calls, because 8,000 threads take
 * longer (about 50 ms) than a scrape may have to wait.
 */
export class UsageRounds {
  readonly #reader: UsageReader;
  readonly #listener: UsageListener;
  readonly #now: () => number;
  readonly #cpuMs: () => number;
  /** The threads that this round has not read yet. */
  #left: VcpuThread[] = [];
  /** True if the latest round had threads to read. */
  #hasThreads = false;
  #beganMs = Number.NEGATIVE_INFINITY;
  /** CPU time of this round so far, and of the one before. */
  #costMs = 0;
  #lastCostMs = 0;

  /** @param cpuMs CPU time of this process, which other programs on a busy host do not lengthen */
  constructor(procfs: string, listener: UsageListener, now = () => performance.now(), cpuMs = cpuTimeMs) {
    this.#reader = new UsageReader(procfs);
    this.#listener = listener;
    this.#now = now;
    this.#cpuMs = cpuMs;
  }

  /**
   * Goes on with the round, or begins one if it is due.
   * @param countedToMs time until which the events of traces are counted, so that an interval's legs and wall time are
   *   of the same time; undefined if no trace is read
   * @param forSnapshot true if a snapshot follows, which wants readings of this moment
   */
  read(countedToMs: number | undefined, budgetMs: number, forSnapshot = false): void {
    const startMs = this.#now();
    const startCpuMs = this.#cpuMs();
    if (this.#left.length === 0) {
      const period = forSnapshot
        ? Math.max(MIN_SNAPSHOT_PERIOD_MS, this.#lastCostMs / MAX_CPU_OF_SNAPSHOTS)
        : Math.max(MIN_PERIOD_MS, this.#lastCostMs / MAX_CPU);
      if (startMs - this.#beganMs < period) return;
      this.#begin(startMs);
    }
    let tookMs = 0;
    while (this.#left.length > 0 && tookMs < budgetMs) {
      for (const thread of this.#left.splice(-THREADS_PER_LOOK)) this.#readThread(thread, startMs, countedToMs);
      tookMs = this.#now() - startMs;
    }
    this.#costMs += this.#cpuMs() - startCpuMs;
    if (this.#left.length === 0) this.#lastCostMs = this.#costMs;
  }

  #begin(nowMs: number): void {
    const threads = new Map(Array.from(this.#listener.threads(), (thread) => [thread.tid, thread]));
    this.#reader.keepOnly(new Set(threads.keys()));
    // A module of KVM cannot be replaced by another one while VMs run.
    if (threads.size > 0 && !this.#hasThreads) this.#reader.tellsGuest = tellsGuestTime();
    this.#hasThreads = threads.size > 0;
    // Read from the end.
    this.#left = [...threads.values()].reverse();
    this.#beganMs = nowMs;
    this.#costMs = 0;
  }

  #readThread(thread: VcpuThread, nowMs: number, countedToMs: number | undefined): void {
    const needsTicks = countedToMs === undefined || this.#listener.needsTicks(thread.tid);
    const usage = this.#reader.read(thread, countedToMs ?? nowMs, needsTicks);
    if (usage !== undefined) this.#listener.add(thread.tid, usage === 'first' ? undefined : usage, countedToMs);
  }
}

function cpuTimeMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
