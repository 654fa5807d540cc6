import type { PageCursor } from '../decode/ring-buffer-page.js';

/** The pages of one CPU and where their reader stands. */
export interface CpuPages {
  readonly cursor: PageCursor;
}

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

  /** The CPU with the oldest event. */
  get first(): T | undefined {
    return this.#heap[0];
  }

  /** Time of the oldest event that is not the first CPU's. */
  get secondTimeNs(): number {
    return Math.min(this.#timeNs(1), this.#timeNs(2));
  }

  /** A CPU that has a page loaded. */
  add(cpu: T): void {
    this.#heap.push(cpu);
    for (let child = this.#heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!this.#swapIfOlder(child, parent)) return;
      child = parent;
    }
  }

  /** The first CPU has gone on: to a later event, or to the end of its pages, which takes it out. */
  settleFirst(): void {
    if (this.#timeNs(0) === Number.POSITIVE_INFINITY) {
      const last = this.#heap.pop();
      if (last !== undefined && this.#heap.length > 0) this.#heap[0] = last;
    }
    for (let parent = 0; ; ) {
      const left = 2 * parent + 1;
      const child = this.#timeNs(left + 1) < this.#timeNs(left) ? left + 1 : left;
      if (child >= this.#heap.length || !this.#swapIfOlder(child, parent)) return;
      parent = child;
    }
  }

  clear(): void {
    this.#heap.length = 0;
  }

  #timeNs(index: number): number {
    return this.#heap[index]?.cursor.nextTimeNs ?? Number.POSITIVE_INFINITY;
  }

  #swapIfOlder(child: number, parent: number): boolean {
    const a = this.#heap[child];
    const b = this.#heap[parent];
    if (a === undefined || b === undefined || a.cursor.nextTimeNs >= b.cursor.nextTimeNs) return false;
    this.#heap[child] = b;
    this.#heap[parent] = a;
    return true;
  }
}
