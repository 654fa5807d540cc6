import { quantileOf95 } from './student-t.js';

/** Exits by reason, and the interval in which the true number lies in at least 95 % of the cases. */
export interface Estimate {
  readonly count: number;
  readonly low: number;
  readonly high: number;
}

/** What one event of a window, and one of all windows so far, stand for in the estimate of a period. */
export interface Weights {
  readonly perSeen: number;
  readonly perKnown: number;
}

/** Sums over all windows for one reason. Names as in {@link SampledExits}. */
interface ReasonSample {
  /** Exits in windows. */
  seen: number;
  count: number;
  /** The part of `count` that stands for unexplained exits. */
  unexplained: number;
  /** Sums over the windows: extrapolated exits; their squares times the share of the reason, and times its square. */
  extrapolated: number;
  squaresByShare: number;
  squaresBySquare: number;
}

/**
 * Estimates the exits of one VM by reason. Their total is known exactly, from KVM's own statistics; their reasons are
 * seen in one window of each period.
 *
 *   period   |-----------------[window]--------------------|      exits = seen + extrapolated + unexplained
 *
 * - Exits seen in the window count once each, so a burst in the window is not multiplied.
 * - The rest of the period had the same shares as its window, as far as the rate of the window goes: extrapolated.
 * - What the rate of the window does not explain is a burst that no window saw. It is divided by the shares of all
 *   windows together, and its whole size adds to the error of every reason.
 *
 * The error of the extrapolation comes from how much shares differ between windows, and is at least that of drawing as
 * many exits at random (Cochran, Sampling Techniques, chapters 3 and 6). Counts never decrease, and they add up to the
 * total.
 */
export class SampledExits {
  readonly #reasons = new Map<number, ReasonSample>();
  #windows = 0;
  #total = 0;
  #seen = 0;
  #unexplained = 0;
  /** Exits of periods before the first window that saw any. */
  #waiting = 0;
  /** Sums over the windows: extrapolated exits, their squares, and their squares by exits seen. */
  #extrapolated = 0;
  #squares = 0;
  #squaresBySeen = 0;

  /** Exits that windows have seen for all reasons but these. */
  seenBesides(exact: ReadonlyMap<number, unknown>): number {
    let seen = 0;
    for (const [reason, sample] of this.#reasons) if (!exact.has(reason)) seen += sample.seen;
    return seen;
  }

  /** Exits that are counted, and those that wait. */
  get all(): number {
    return this.#total + this.#waiting;
  }

  /** Exits that are counted. */
  get total(): number {
    return this.#total;
  }

  /** Returns the exits that wait for the first window that sees any: it will not come. */
  takeWaiting(): number {
    const waiting = this.#waiting;
    this.#waiting = 0;
    return waiting;
  }

  countOf(reason: number): number {
    return this.#reasons.get(reason)?.count ?? 0;
  }

  /**
   * @param exits in the period
   * @param window exits in its window, by reason
   * @param part of the period that the window took, above 0 and at most 1
   * @param exact reasons of which the period has no exits, as they are known otherwise
   * @returns undefined if no window has seen any exits yet: they wait for the first that does
   */
  addPeriod(
    exits: number,
    window: ReadonlyMap<number, number>,
    part: number,
    exact: ReadonlyMap<number, unknown> = new Map(),
  ): Weights | undefined {
    let seen = 0;
    for (const count of window.values()) seen += count;
    const rest = Math.max(0, exits - seen) + this.#waiting;
    this.#waiting = 0;
    const known = this.seenBesides(exact) + seen;
    if (known === 0) {
      this.#waiting = rest;
      return undefined;
    }
    const extrapolated = Math.min(rest, (seen * (1 - part)) / part);
    const unexplained = rest - extrapolated;
    this.#windows++;
    this.#total += seen + rest;
    this.#seen += seen;
    this.#unexplained += unexplained;
    this.#extrapolated += extrapolated;
    this.#squares += extrapolated ** 2;
    if (seen > 0) this.#squaresBySeen += extrapolated ** 2 / seen;
    for (const [reason, count] of window) this.#addSeen(reason, count, seen, extrapolated);
    for (const [reason, sample] of this.#reasons) {
      if (exact.has(reason)) continue;
      const share = (unexplained * sample.seen) / known;
      sample.count += share;
      sample.unexplained += share;
    }
    return { perSeen: seen > 0 ? 1 + extrapolated / seen : 0, perKnown: unexplained / known };
  }

  estimates(): Map<number, Estimate> {
    return new Map(Array.from(this.#reasons, ([reason, sample]) => [reason, this.#estimate(sample)]));
  }

  /** A reason that no window saw. */
  unseen(): Estimate {
    return this.#estimate(NOTHING);
  }

  #addSeen(reason: number, count: number, seen: number, extrapolated: number): void {
    if (count === 0) return;
    let sample = this.#reasons.get(reason);
    if (sample === undefined) {
      sample = { ...NOTHING };
      this.#reasons.set(reason, sample);
    }
    const share = count / seen;
    sample.seen += count;
    sample.count += count + extrapolated * share;
    sample.extrapolated += extrapolated * share;
    sample.squaresByShare += extrapolated ** 2 * share;
    sample.squaresBySquare += extrapolated ** 2 * share ** 2;
  }

  #estimate(sample: ReasonSample): Estimate {
    const { count, seen } = sample;
    const [min, max] = [seen, this.#total - this.#seen + seen];
    if (this.#windows < 2) return { count, low: min, high: max };
    const error = quantileOf95(this.#windows - 1) * Math.sqrt(this.#variance(sample));
    const low = count - error - sample.unexplained;
    const high = count + error + this.#unexplained - sample.unexplained;
    return { count, low: Math.max(min, low), high: Math.min(max, high) };
  }

  #variance({ seen, extrapolated, squaresByShare, squaresBySquare }: ReasonSample): number {
    const mean = this.#extrapolated === 0 ? 0 : extrapolated / this.#extrapolated;
    const squares = squaresBySquare - 2 * mean * squaresByShare + mean ** 2 * this.#squares;
    const between = (squares * this.#windows) / (this.#windows - 1);
    // Two more exits with the reason and two without: then a rare reason does not look certain (Agresti and Coull).
    const share = (seen + 2) / (this.#seen + 4);
    return Math.max(between, share * (1 - share) * this.#squaresBySeen);
  }
}

const NOTHING: Readonly<ReasonSample> = {
  seen: 0,
  count: 0,
  unexplained: 0,
  extrapolated: 0,
  squaresByShare: 0,
  squaresBySquare: 0,
};
