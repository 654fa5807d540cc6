/** The rate of a guest's port writes, by the counter in the guest's own memory, which is read each second. */
import type { RunningGuest } from '../support/guest/start-guest.js';

const INTERVAL_MS = 1000;
/** Enough for the 15 minutes of the page's history. */
const MAX_NOTES = 1100;

interface Note {
  readonly seconds: number;
  readonly writes: number;
}

export class GuestRate {
  readonly #notes: Note[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(guest: Pick<RunningGuest, 'writesDone'>) {
    this.#timer = setInterval(() => {
      this.#notes.push({ seconds: performance.now() / 1000, writes: guest.writesDone() });
      if (this.#notes.length > MAX_NOTES) this.#notes.shift();
    }, INTERVAL_MS).unref();
  }

  /**
   * Least and most writes per second in any `length` seconds that ended in the last `recent` seconds; NaN if it was
   * read for less time.
   */
  range(length: number, recent: number): readonly [least: number, most: number] {
    const since = performance.now() / 1000 - recent;
    const rates = this.#notes.flatMap((end, index) => {
      if (end.seconds < since) return [];
      const start = this.#notes.slice(0, index).findLast(({ seconds }) => seconds <= end.seconds - length);
      return start === undefined ? [] : [(end.writes - start.writes) / (end.seconds - start.seconds)];
    });
    return rates.length === 0 ? [Number.NaN, Number.NaN] : [Math.min(...rates), Math.max(...rates)];
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
