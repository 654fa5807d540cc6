import type { PageIndex } from './page-index.js';

/** Threads to remember that are on no page. A large host runs as many at a time. */
const MAX_THREADS = 4096;

/**
 * The pages of all CPUs that are read at the same time, one for each CPU.
 *
 *   cpu 0   ├─ 7, 9 ───────────┤          thread 7 is on two pages: their events are merged one by one
 *   cpu 1        ├─ 7 ──────────────┤
 *   cpu 2   ├─ 12 ──────────┤             thread 12 is on this page alone: its events up to the horizon
 *                           ▲ horizon     are delivered at once
 *
 * The events of a thread have to be delivered in the order in which they happened, and a thread moves between CPUs.
 * Most threads stay on one CPU for the time of a page, though. Then the order among CPUs does not matter; merging the
 * events of such pages one by one would cost as much as decoding them.
 */
export class OpenPages {
  readonly #open: PageIndex[] = [];
  /** Thread -> the number of open pages that it is on. */
  readonly #pageCounts = new Map<number, number>();
  /** Open pages that may concern any thread. */
  #anyThreadPages = 0;
  /** The earliest end of an open page; NaN if it has to be computed. */
  #earliestEndNs = Number.NaN;

  open(page: PageIndex): void {
    this.#open.push(page);
    if (page.anyThread) this.#anyThreadPages++;
    for (const tid of page.tids) this.#pageCounts.set(tid, this.#pageCountOf(tid) + 1);
    this.#changed();
  }

  close(page: PageIndex): void {
    const index = this.#open.indexOf(page);
    if (index < 0) return;
    this.#open[index] = this.#open[this.#open.length - 1] as PageIndex;
    this.#open.pop();
    if (page.anyThread) this.#anyThreadPages--;
    for (const tid of page.tids) this.#pageCounts.set(tid, this.#pageCountOf(tid) - 1);
    if (this.#pageCounts.size > MAX_THREADS) this.#forgetThreads();
    this.#changed();
  }

  /** The time up to which the page's events can be delivered without merging them with other pages; -Infinity: none. */
  horizonNs(page: PageIndex): number {
    page.isIndependent ??= this.#isIndependent(page);
    if (this.#anyThreadPages > 0 || !page.isIndependent) return Number.NEGATIVE_INFINITY;
    if (Number.isNaN(this.#earliestEndNs)) {
      this.#earliestEndNs = Number.POSITIVE_INFINITY;
      for (const { endNs } of this.#open) if (endNs < this.#earliestEndNs) this.#earliestEndNs = endNs;
    }
    return this.#earliestEndNs;
  }

  #isIndependent({ tids }: PageIndex): boolean {
    for (const tid of tids) if (this.#pageCountOf(tid) > 1) return false;
    return true;
  }

  #pageCountOf(tid: number): number {
    return this.#pageCounts.get(tid) ?? 0;
  }

  #changed(): void {
    this.#earliestEndNs = Number.NaN;
    for (const page of this.#open) page.isIndependent = undefined;
  }

  /** Forgets all threads that are on no page. Rare, because most of them are on the next page again. */
  #forgetThreads(): void {
    for (const [tid, count] of this.#pageCounts) if (count === 0) this.#pageCounts.delete(tid);
  }
}
