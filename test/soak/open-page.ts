/**
 * Pages of the agent that stay open in a browser: asks for what their scripts ask, as often. Each history has to hold
 * the VM that runs all the time without a gap, with as many exits as the guest has done meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { VmHistoryAnswer } from '../../src/web/page/history-answer.js';
import type { GuestRate } from './guest-rate.js';
import type { Verdict } from './judge.js';

const POLL_MS = 5000;
/** The overview asks for all histories at each third poll only. */
const POLLS_PER_OVERVIEW = 3;
/** Length of the history, without a step of five seconds. */
const FULL_SECONDS = 895;
/** Age that the latest point may have, besides the length of a step. */
const LATE_SECONDS = 10;
const MIN_COMPARED_SECONDS = 30;
/** Times are rounded to a tenth of a second, and the guest writes in bursts. */
const TOLERANCE = 0.02;

interface Held {
  readonly points: number;
  readonly unknown: number;
  /** Time from the first known point to the last one. */
  readonly seconds: number;
  readonly longestStep: number;
  /** Exits per second in that time. */
  readonly mean: number;
}

export class OpenPage {
  readonly #origin: string;
  readonly #query: string;
  readonly #rate: GuestRate;
  readonly #ended: Promise<void>;
  readonly #wrong: string[] = [];
  #isEnding = false;
  #answers = 0;
  #compared = 0;
  #firstMs = Number.NaN;
  /** About the latest history. */
  #figures = '';

  constructor(agentUrl: string, vm: string, rate: GuestRate) {
    this.#origin = new URL(agentUrl).origin;
    this.#query = `?${new URLSearchParams({ name: vm })}`;
    this.#rate = rate;
    this.#ended = this.#run();
    // end() reports it.
    this.#ended.catch(() => {});
  }

  async #run(): Promise<void> {
    for (let poll = 0; !this.#isEnding; poll++) {
      await this.#read('/');
      if (poll % POLLS_PER_OVERVIEW === 0) await this.#read('/api/history');
      const askedMs = performance.now();
      const history = await this.#read(`/api/history${this.#query}`);
      if (history !== undefined) {
        this.#check(held(JSON.parse(history)), (performance.now() - askedMs) / 1000);
        await this.#read(`/vm${this.#query}`);
      }
      await sleep(POLL_MS);
    }
  }

  /** Undefined if the VM is not known yet. */
  async #read(path: string): Promise<string | undefined> {
    const answer = await fetch(`${this.#origin}${path}`);
    const text = await answer.text();
    if (answer.status === 404 && this.#answers === 0) return undefined;
    if (answer.status !== 200) this.#wrong.push(`${path}: ${answer.status}`);
    return text;
  }

  #check(history: Held, askedSeconds: number): void {
    if (history.points === 0) return;
    this.#answers++;
    if (this.#answers === 1) this.#firstMs = performance.now();
    const { points, unknown, seconds, longestStep, mean } = history;
    const lateSeconds = longestStep + askedSeconds + LATE_SECONDS;
    const [least, most] = this.#rate.range(seconds, lateSeconds);
    const expected = Math.min(FULL_SECONDS, (performance.now() - this.#firstMs) / 1000) - lateSeconds;
    this.#figures = [
      `${points} points over ${seconds} s, at most ${longestStep.toFixed(1)} s apart`,
      `${mean.toFixed(1)} exits/s, ${least.toFixed(1)} to ${most.toFixed(1)} by the guest`,
    ].join(', ');
    const isCompared = seconds >= MIN_COMPARED_SECONDS && !Number.isNaN(least);
    if (isCompared) this.#compared++;
    const isEqual = mean >= least * (1 - TOLERANCE) && mean <= most * (1 + TOLERANCE);
    if (unknown > 0 || seconds < expected || (isCompared && !isEqual))
      this.#wrong.push(`${this.#figures}, ${unknown} unknown, at least ${expected.toFixed(0)} s expected`);
  }

  /** Closes the pages. */
  async end(): Promise<Verdict> {
    this.#isEnding = true;
    await this.#ended;
    return {
      criterion: "the page's history has every step of the VM that runs all the time, with the exits of the guest",
      holds: this.#answers > 0 && this.#wrong.length === 0,
      figures: [
        `${this.#answers} answers, ${this.#compared} of them compared`,
        `the last one: ${this.#figures}`,
        ...this.#wrong.slice(0, 3),
      ].join('; '),
    };
  }
}

/** A point is the mean since the point before. */
function held({ seconds_ago: ago, exits }: VmHistoryAnswer): Held {
  const all = exits.find(({ name }) => name === 'to QEMU')?.values ?? [];
  const first = all.findIndex((value) => value !== null);
  if (first < 0) return { points: 0, unknown: 0, seconds: 0, longestStep: 0, mean: Number.NaN };
  const seconds = ago[first] ?? Number.NaN;
  const known = all.slice(first);
  const steps = ago.slice(first + 1).map((end, index) => (ago[first + index] ?? Number.NaN) - end);
  const total = steps.reduce((sum, length, index) => sum + length * (known[index + 1] ?? 0), 0);
  return {
    points: known.length,
    unknown: known.filter((value) => value === null).length,
    seconds,
    longestStep: Math.max(0, ...steps),
    mean: total / seconds,
  };
}
