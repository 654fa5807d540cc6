/**
 * A VM that does a known number of exits, ends, and is started again under its name at once, until the soak ends. Its
 * counters have to go on, so that they are the sum of all its lives.
 */
import { join } from 'node:path';
import { startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';
import { VM_PREFIX } from './observe.js';
import { countsOf } from './short-lived-vms.js';

export const RESTARTED = `${VM_PREFIX}restarted`;
const [WRITES_PER_TICK, TICK_MS, TICKS] = [50, 100, 95];
/** Exits of a life; the last one ends the guest. */
const EXITS = WRITES_PER_TICK * TICKS + 1;

export class RestartedVm {
  lives = 0;
  /** Scrapes in which its counter was less than before. */
  decreases = 0;
  #shown = 0;
  #isEnding = false;
  readonly #ended: Promise<void>;

  /** @param folder for QMP sockets */
  constructor(folder: string) {
    this.#ended = this.#run(folder);
    // end() reports it.
    this.#ended.catch(() => {});
  }

  async #run(folder: string): Promise<void> {
    const bursts = { out: 0x80, times: WRITES_PER_TICK, everyMs: TICK_MS, ticks: TICKS };
    const extraArgs = ['-qmp', `unix:${join(folder, `${RESTARTED}.sock`)},server=on,wait=off`];
    while (!this.#isEnding) {
      await startGuest({ name: RESTARTED, steps: [{ bursts }], extraArgs }).finished();
      this.lives++;
    }
  }

  check(samples: Samples): void {
    const [counted] = countsOf(samples, RESTARTED);
    if (counted < this.#shown) this.decreases++;
    this.#shown = counted;
  }

  /** Exits of all lives that have ended. */
  get exits(): number {
    return this.lives * EXITS;
  }

  /** Waits for the end of the present life. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#ended;
  }
}
