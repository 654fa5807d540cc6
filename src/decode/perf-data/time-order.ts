import { CONTROL, RecordBlock } from './record-block.js';

/** Blocks that wait for delivery: 256 MiB. Two rounds of perf on a host of 128 CPUs fill half of them. */
const MAX_BLOCKS = 1024;
const FIRST_RUNS = 64;

/** Entries of a block, in the order of their times, that were not delivered yet. */
export interface Run {
  readonly block: RecordBlock;
  /** Index of the next entry. */
  next: number;
  /** Index behind the last entry. */
  end: number;
}

export interface RecordReceiver {
  /** Samples of one CPU, in order. */
  samples(block: RecordBlock, first: number, last: number, cpu: number): void;
  control(block: RecordBlock, index: number): void;
}

/**
 * Puts the records of all CPUs in order.
 *
 * perf empties the buffer of one CPU after the other, so a file consists of runs, each of them in order:
 *
 *   cpu 0: 10 13 15 | cpu 1: 11 12 14 18 | end of the round | cpu 0: 16 17 ...
 *
 * A heap of the runs, ordered by the time of each run's next entry. What is certain to be the oldest is delivered; the
 * caller knows up to which time that is.
 */
export class TimeOrder {
  readonly #receiver: RecordReceiver;
  readonly #maxBlocks: number;
  readonly #runs: Run[] = [];
  /** Time of the next entry of the run at the same index; Infinity behind the last run. */
  #timesNs = new Float64Array(FIRST_RUNS).fill(Number.POSITIVE_INFINITY);
  readonly #freeBlocks: RecordBlock[] = [];
  #waitingBlocks = 0;

  constructor(receiver: RecordReceiver, maxBlocks = MAX_BLOCKS) {
    this.#receiver = receiver;
    this.#maxBlocks = maxBlocks;
  }

  /** True if no more blocks may wait: entries have to be delivered. */
  get isFull(): boolean {
    return this.#waitingBlocks >= this.#maxBlocks;
  }

  openBlock(): RecordBlock {
    const block = this.#freeBlocks.pop();
    block?.reset();
    return block ?? new RecordBlock();
  }

  /** No more entries come. The block is used again once all its entries are delivered. */
  closeBlock(block: RecordBlock): void {
    block.isOpen = false;
    this.#waitingBlocks++;
    this.#freeIfDone(block);
  }

  /** Begins a run with the last entry of `block`. */
  addRun(block: RecordBlock): Run {
    const run = { block, next: block.length - 1, end: block.length };
    const timeNs = block.timesNs[run.next] as number;
    let index = this.#runs.length;
    if (index + 2 >= this.#timesNs.length) this.#grow();
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (timeNs >= (this.#timesNs[parent] as number)) break;
      this.#put(index, this.#runs[parent] as Run, this.#timesNs[parent] as number);
      index = parent;
    }
    this.#put(index, run, timeNs);
    return run;
  }

  /** Delivers all entries up to and including `untilNs`. */
  deliver(untilNs: number): void {
    for (let run = this.#runs[0]; run !== undefined; run = this.#runs[0]) {
      const times = this.#timesNs;
      if ((times[0] as number) > untilNs) return;
      const { block } = run;
      this.#deliverRun(run, Math.min(untilNs, times[1] as number, times[2] as number));
      if (run.next < run.end) this.#sink(run, block.timesNs[run.next] as number);
      else this.#removeFirst();
      this.#freeIfDone(block);
    }
  }

  /** Delivers at least one entry, and more of the same CPU up to `limitNs`. */
  #deliverRun(run: Run, limitNs: number): void {
    const { block, next, end } = run;
    const { timesNs, cpus } = block;
    const cpu = cpus[next] as number;
    let last = next + 1;
    if (cpu !== CONTROL) while (last < end && cpus[last] === cpu && (timesNs[last] as number) <= limitNs) last++;
    run.next = last;
    block.delivered += last - next;
    if (cpu === CONTROL) this.#receiver.control(block, next);
    else this.#receiver.samples(block, next, last, cpu);
  }

  #freeIfDone(block: RecordBlock): void {
    if (block.isOpen || block.delivered < block.length) return;
    this.#waitingBlocks--;
    this.#freeBlocks.push(block);
  }

  #removeFirst(): void {
    const runs = this.#runs;
    const last = runs.pop() as Run;
    const lastNs = this.#timesNs[runs.length] as number;
    this.#timesNs[runs.length] = Number.POSITIVE_INFINITY;
    if (runs.length > 0) this.#sink(last, lastNs);
  }

  /** Puts a run in the place of the first one, then below the runs that are earlier. */
  #sink(run: Run, timeNs: number): void {
    const times = this.#timesNs;
    const runs = this.#runs;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= runs.length) break;
      const child = (times[left + 1] as number) < (times[left] as number) ? left + 1 : left;
      if ((times[child] as number) >= timeNs) break;
      this.#put(index, runs[child] as Run, times[child] as number);
      index = child;
    }
    this.#put(index, run, timeNs);
  }

  #put(index: number, run: Run, timeNs: number): void {
    this.#runs[index] = run;
    this.#timesNs[index] = timeNs;
  }

  #grow(): void {
    const larger = new Float64Array(this.#timesNs.length * 2).fill(Number.POSITIVE_INFINITY);
    larger.set(this.#timesNs);
    this.#timesNs = larger;
  }
}
