import type { PageIndex } from './page-index.js';

/** Threads that are remembered though they are on no page: as many as a large host runs at a time. */
const MOST_THREADS = 4096;

/**
 * The pages of all CPUs that are being read at the same time.
 *
 *   cpu 0   ├─ 7, 9 ───────────┤          thread 7 is on both: by turns, event by event
 *   cpu 1        ├─ 7 ──────────────┤
 *   cpu 2   ├─ 12 ──────────┤             nobody else's: at once, as far as all pages reach
 *                           ▲ horizon
 *
 * Events must be delivered in the order in which they happened to each thread, and a thread moves between CPUs. But most stay where they are,
 * at least for the time of a page: then the order among CPUs does not matter, and to bring it about costs as much as to decode.
 */
export class OpenPages {
  readonly #open: PageIndex[] = [];
  /** Thread -> on how many pages it is. */
  readonly #pages = new Map<number, number>();
  #mixed = 0;
  /** Until the pages change. */
  #horizonNs = Number.NaN;

  open(page: PageIndex): void {
    this.#open.push(page);
    if (page.mixed) this.#mixed++;
    for (const tid of page.tids) this.#pages.set(tid, this.#pagesOf(tid) + 1);
    this.#changed();
  }

  close(page: PageIndex): void {
    const place = this.#open.indexOf(page);
    if (place < 0) return;
    this.#open[place] = this.#open[this.#open.length - 1] as PageIndex;
    this.#open.pop();
    if (page.mixed) this.#mixed--;
    for (const tid of page.tids) this.#pages.set(tid, this.#pagesOf(tid) - 1);
    if (this.#pages.size > MOST_THREADS) this.#forgetThreads();
    this.#changed();
  }

  /** Up to this time the page's events may be delivered without asking for those of others; -Infinity where they may not. */
  horizonNs(page: PageIndex): number {
    page.isAlone ??= this.#isAlone(page);
    if (this.#mixed > 0 || !page.isAlone) return Number.NEGATIVE_INFINITY;
    if (Number.isNaN(this.#horizonNs)) {
      this.#horizonNs = Number.POSITIVE_INFINITY;
      for (const { endNs } of this.#open) if (endNs < this.#horizonNs) this.#horizonNs = endNs;
    }
    return this.#horizonNs;
  }

  #isAlone({ tids }: PageIndex): boolean {
    for (const tid of tids) if (this.#pagesOf(tid) > 1) return false;
    return true;
  }

  #pagesOf(tid: number): number {
    return this.#pages.get(tid) ?? 0;
  }

  #changed(): void {
    this.#horizonNs = Number.NaN;
    for (const page of this.#open) page.isAlone = undefined;
  }

  /** Those that are on no page: not one by one, as most come again with the next page. */
  #forgetThreads(): void {
    for (const [tid, pages] of this.#pages) if (pages === 0) this.#pages.delete(tid);
  }
}
