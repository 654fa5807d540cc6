import type { PageCursor } from '../decode/ring-buffer-page.js';

/** The pages of one CPU and where their reader stands. */
export interface CpuPages {
  readonly cursor: PageCursor;
}

/** Places; one more than CPUs at least, and three. */
const FIRST_SIZE = 16;

/**
 * Brings the events of several CPUs in order: a binary heap by the time of each cursor's next event.
 *
 *     for (let cpu = heap.first; cpu !== undefined; cpu = heap.first) {
 *       cpu.cursor.run(heap.secondTimeNs);
 *       ... load its next page, if it has none left ...
 *       heap.settleFirst();
 *     }
 */
export class CpuHeap<T extends CpuPages> {
  readonly #heap: T[] = [];
  /** The time of each, at the same place; Infinity behind the last. Apart, as nearly every event asks for some of them. */
  #timesNs = new Float64Array(FIRST_SIZE).fill(Number.POSITIVE_INFINITY);

  /** The CPU with the oldest event. */
  get first(): T | undefined {
    return this.#heap[0];
  }

  /** Time of the oldest event that is not the first CPU's. */
  get secondTimeNs(): number {
    return Math.min(this.#timesNs[1] as number, this.#timesNs[2] as number);
  }

  /** A CPU that has a page loaded. */
  add(cpu: T): void {
    let place = this.#heap.length;
    if (place + 1 >= this.#timesNs.length) this.#grow();
    const timeNs = cpu.cursor.nextTimeNs;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (timeNs >= (this.#timesNs[parent] as number)) break;
      this.#put(place, this.#heap[parent] as T, this.#timesNs[parent] as number);
      place = parent;
    }
    this.#put(place, cpu, timeNs);
  }

  /** The first CPU has gone on: to a later event, or to the end of its pages, which takes it out. */
  settleFirst(): void {
    const first = this.#heap[0];
    if (first === undefined) return;
    const timeNs = first.cursor.nextTimeNs;
    if (timeNs === Number.POSITIVE_INFINITY) this.#takeOutFirst();
    else this.#sink(first, timeNs);
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
    if (end > 0) this.#sink(last, timeNs);
  }

  /** Puts it in the first place, which is free, or further down as those there are older. */
  #sink(cpu: T, timeNs: number): void {
    const times = this.#timesNs;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#heap.length) break;
      if ((times[child + 1] as number) < (times[child] as number)) child++;
      if ((times[child] as number) >= timeNs) break;
      this.#put(place, this.#heap[child] as T, times[child] as number);
      place = child;
    }
    this.#put(place, cpu, timeNs);
  }

  #put(place: number, cpu: T, timeNs: number): void {
    this.#heap[place] = cpu;
    this.#timesNs[place] = timeNs;
  }

  #grow(): void {
    const longer = new Float64Array(2 * this.#timesNs.length).fill(Number.POSITIVE_INFINITY);
    longer.set(this.#timesNs);
    this.#timesNs = longer;
  }
}
