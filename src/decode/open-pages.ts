import type { PageIndex } from './page-index.js';

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
  readonly #open = new Set<PageIndex>();
  /** Thread -> on how many pages it is. */
  readonly #pages = new Map<number, number>();
  #mixed = 0;
  #horizonNs = Number.NaN;
  /** Pages for which it was found that no other has a thread of theirs; until the pages change. */
  readonly #alone = new Map<PageIndex, boolean>();

  open(page: PageIndex): void {
    this.#changed();
    this.#open.add(page);
    if (page.mixed) this.#mixed++;
    for (const tid of page.tids) this.#pages.set(tid, (this.#pages.get(tid) ?? 0) + 1);
  }

  close(page: PageIndex): void {
    if (!this.#open.delete(page)) return;
    this.#changed();
    if (page.mixed) this.#mixed--;
    for (const tid of page.tids) {
      const pages = (this.#pages.get(tid) ?? 0) - 1;
      if (pages > 0) this.#pages.set(tid, pages);
      else this.#pages.delete(tid);
    }
  }

  /** Up to this time the page's events may be delivered without asking for those of others; -Infinity where they may not. */
  horizonNs(page: PageIndex): number {
    if (this.#mixed > 0 || !this.#isAlone(page)) return Number.NEGATIVE_INFINITY;
    if (Number.isNaN(this.#horizonNs)) {
      this.#horizonNs = Number.POSITIVE_INFINITY;
      for (const { endNs } of this.#open) if (endNs < this.#horizonNs) this.#horizonNs = endNs;
    }
    return this.#horizonNs;
  }

  #isAlone(page: PageIndex): boolean {
    let alone = this.#alone.get(page);
    if (alone === undefined) {
      alone = page.tids.every((tid) => this.#pages.get(tid) === 1);
      this.#alone.set(page, alone);
    }
    return alone;
  }

  #changed(): void {
    this.#horizonNs = Number.NaN;
    this.#alone.clear();
  }
}
