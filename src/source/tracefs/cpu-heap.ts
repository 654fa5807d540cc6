import type { OpenPages } from '../../decode/ftrace/open-pages.js';
import type { PageCursor } from '../../decode/ftrace/page-cursor.js';

/** The pages of one CPU and where their reader stands. */
export interface CpuPages {
  readonly cursor: PageCursor;
}

/** Places; one more than CPUs at least, and three. */
const FIRST_SIZE = 16;

/**
 * Brings the events of several CPUs in order, as far as it matters to anybody: a binary heap by the time of each cursor's next event.
 *
 *     for (let cpu = heap.first; cpu !== undefined; cpu = heap.first) {
 *       heap.runFirst(untilNs);
 *       ... load its next page, if it has none left ...
 *       heap.settleFirst();
 *     }
 */
export class CpuHeap<T extends CpuPages> {
  readonly #pages: OpenPages;
  readonly #heap: T[] = [];
  /** The time of each, at the same place; Infinity behind the last. Apart, as nearly every event asks for some of them. */
  #timesNs = new Float64Array(FIRST_SIZE).fill(Number.POSITIVE_INFINITY);

  constructor(pages: OpenPages) {
    this.#pages = pages;
  }

  /** The CPU with the oldest event. */
  get first(): T | undefined {
    return this.#heap[0];
  }

  /**
   * Delivers the first CPU's events as long as no other CPU has an older one of the same thread, and up to `untilNs`. Returns how many.
   */
  runFirst(untilNs: number): number {
    const times = this.#timesNs;
    const cursor = this.#heap[0]?.cursor;
    if (cursor === undefined) return 0;
    const othersNs = Math.min(times[1] as number, times[2] as number);
    return cursor.run(Math.min(untilNs, Math.max(othersNs, this.#pages.horizonNs(cursor.index))));
  }

  /** A CPU that has a page loaded. */
  add(cpu: T): void {
    let place = this.#heap.length;
    if (place + 1 >= this.#timesNs.length) this.#grow();
    const timeNs = cpu.cursor.nextTimeNs;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (timeNs >= (this.#timesNs[parent] as number)) break;
      this.#heap[place] = this.#heap[parent] as T;
      this.#timesNs[place] = this.#timesNs[parent] as number;
      place = parent;
    }
    this.#heap[place] = cpu;
    this.#timesNs[place] = timeNs;
  }

  /** The first CPU has gone on: to a later event, or to the end of its pages, which takes it out. */
  settleFirst(): void {
    const first = this.#heap[0];
    if (first === undefined) return;
    const times = this.#timesNs;
    const timeNs = first.cursor.nextTimeNs;
    if (timeNs === Number.POSITIVE_INFINITY) return this.#takeOutFirst();
    times[0] = timeNs;
    if (timeNs > (times[1] as number) || timeNs > (times[2] as number)) this.#sinkFirst();
  }

  clear(): void {
    this.#heap.length = 0;
    this.#timesNs.fill(Number.POSITIVE_INFINITY);
  }

  #takeOutFirst(): void {
    const end = this.#heap.length - 1;
    const last = this.#heap.pop() as T;
    const timeNs = this.#timesNs[end] as number;
    this.#timesNs[end] = Number.POSITIVE_INFINITY;
    if (end === 0) return;
    this.#heap[0] = last;
    this.#timesNs[0] = timeNs;
    this.#sinkFirst();
  }

  /** Moves the first further down, as others are older. In one piece: times that are handed from call to call would be objects. */
  #sinkFirst(): void {
    const heap = this.#heap;
    const times = this.#timesNs;
    const cpu = heap[0] as T;
    const timeNs = times[0] as number;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if ((times[child + 1] as number) < (times[child] as number)) child++;
      if ((times[child] as number) >= timeNs) break;
      heap[place] = heap[child] as T;
      times[place] = times[child] as number;
      place = child;
    }
    heap[place] = cpu;
    times[place] = timeNs;
  }

  #grow(): void {
    const longer = new Float64Array(2 * this.#timesNs.length).fill(Number.POSITIVE_INFINITY);
    longer.set(this.#timesNs);
    this.#timesNs = longer;
  }
}
