import type { OpenPages } from '../../decode/ftrace/open-pages.js';
import type { PageCursor } from '../../decode/ftrace/page-cursor.js';

/** The pages of one CPU, and the position of their reader. */
export interface CpuPages {
  readonly cursor: PageCursor;
}

/** Initial length of the array of times. At least three, and more than there are CPUs. */
const INITIAL_SIZE = 16;

/**
 * Merges the events of several CPUs by time, as far as the order matters: events of one thread always come in order,
 * events of different threads may not (see open-pages.ts). A binary heap of the CPUs, ordered by the time of each
 * cursor's next event.
 *
 *     for (let cpu = merge.first; cpu !== undefined; cpu = merge.first) {
 *       merge.runFirst(untilNs);
 *       ... load the CPU's next page if it has no events left ...
 *       merge.updateFirst();
 *     }
 */
export class CpuMerge<T extends CpuPages> {
  readonly #pages: OpenPages;
  readonly #heap: T[] = [];
  /**
   * Time of the next event of the CPU at the same index of the heap; Infinity after the last. An array of its own
   * because nearly every event reads from it.
   */
  #timesNs = new Float64Array(INITIAL_SIZE).fill(Number.POSITIVE_INFINITY);

  constructor(pages: OpenPages) {
    this.#pages = pages;
  }

  /** The CPU with the oldest event. */
  get first(): T | undefined {
    return this.#heap[0];
  }

  /**
   * Delivers events of the first CPU, up to `untilNs`, until another CPU has an older event of the same thread. Returns
   * the number of events.
   */
  runFirst(untilNs: number): number {
    const times = this.#timesNs;
    const cursor = this.#heap[0]?.cursor;
    if (cursor === undefined) return 0;
    const secondNs = Math.min(times[1] as number, times[2] as number);
    return cursor.run(Math.min(untilNs, Math.max(secondNs, this.#pages.horizonNs(cursor.index))));
  }

  /** Adds a CPU that has a page loaded. */
  add(cpu: T): void {
    let index = this.#heap.length;
    if (index + 1 >= this.#timesNs.length) this.#grow();
    const timeNs = cpu.cursor.nextTimeNs;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (timeNs >= (this.#timesNs[parent] as number)) break;
      this.#heap[index] = this.#heap[parent] as T;
      this.#timesNs[index] = this.#timesNs[parent] as number;
      index = parent;
    }
    this.#heap[index] = cpu;
    this.#timesNs[index] = timeNs;
  }

  /** Restores the order after the first CPU's cursor moved. A CPU without another event leaves the merge. */
  updateFirst(): void {
    const first = this.#heap[0];
    if (first === undefined) return;
    const times = this.#timesNs;
    const timeNs = first.cursor.nextTimeNs;
    if (timeNs === Number.POSITIVE_INFINITY) return this.#removeFirst();
    times[0] = timeNs;
    if (timeNs > (times[1] as number) || timeNs > (times[2] as number)) this.#sinkFirst();
  }

  clear(): void {
    this.#heap.length = 0;
    this.#timesNs.fill(Number.POSITIVE_INFINITY);
  }

  #removeFirst(): void {
    const end = this.#heap.length - 1;
    const last = this.#heap.pop() as T;
    const timeNs = this.#timesNs[end] as number;
    this.#timesNs[end] = Number.POSITIVE_INFINITY;
    if (end === 0) return;
    this.#heap[0] = last;
    this.#timesNs[0] = timeNs;
    this.#sinkFirst();
  }

  /** Moves the first CPU down past older ones. One function, because V8 boxes doubles that are passed between calls. */
  #sinkFirst(): void {
    const heap = this.#heap;
    const times = this.#timesNs;
    const cpu = heap[0] as T;
    const timeNs = times[0] as number;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if ((times[child + 1] as number) < (times[child] as number)) child++;
      if ((times[child] as number) >= timeNs) break;
      heap[index] = heap[child] as T;
      times[index] = times[child] as number;
      index = child;
    }
    heap[index] = cpu;
    times[index] = timeNs;
  }

  #grow(): void {
    const longer = new Float64Array(2 * this.#timesNs.length).fill(Number.POSITIVE_INFINITY);
    longer.set(this.#timesNs);
    this.#timesNs = longer;
  }
}
