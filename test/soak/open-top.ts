/** `top --url` in a terminal that stays open. Each of its screens has to show a VM with the rate of its guest. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';
import { Tmux } from '../support/tmux.js';
import { collecting } from './forced-collection.js';
import type { GuestRate } from './guest-rate.js';
import type { Verdict } from './judge.js';

/** Wide enough for the names of this soak's VMs. */
const [COLUMNS, LINES] = [160, 50];
/** The rates of `top` are those of ten seconds. On a busy machine it shows them late. */
const [PERIOD_SECONDS, RECENT_SECONDS] = [10, 60];
const TOLERANCE = 0.1;
const LAST_SCREEN_MS = 30_000;

export class OpenTop {
  readonly #tmux: Tmux;
  readonly #vm: string;
  readonly #rate: GuestRate;
  readonly #pid: number;
  #screens = 0;
  #rightScreens = 0;

  constructor(agentUrl: string, vm: string, rate: GuestRate) {
    const words = [...collecting(), PROGRAM, ...PROGRAM_ARGS, 'top', '--url', new URL(agentUrl).origin];
    this.#tmux = new Tmux(COLUMNS, LINES, `exec ${words.map((word) => `'${word}'`).join(' ')}`);
    this.#pid = this.#tmux.foreground();
    this.#vm = vm;
    this.#rate = rate;
  }

  get pid(): number {
    return this.#pid;
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(this.#pid, signal);
  }

  /** Looks at the screen once. */
  look(): void {
    this.#screens++;
    if (this.#isRight(this.#shownRate())) this.#rightScreens++;
  }

  /** Exits to QEMU per second on the screen; NaN if the VM is not there; undefined if `top` has ended. */
  #shownRate(): number | undefined {
    let screen: string[];
    try {
      readFileSync(`/proc/${this.#pid}/status`);
      screen = this.#tmux.screen();
    } catch {
      return undefined;
    }
    // Columns: VM, CPU, KVM/s, QEMU/s. The title says so if the agent does not answer.
    const words = screen.find((line) => line.startsWith(`${this.#vm} `))?.split(/ +/);
    return screen[0]?.startsWith('top: ') ? Number(words?.[3]) : Number.NaN;
  }

  #isRight(shown: number | undefined): boolean {
    const [least, most] = this.#rate.range(PERIOD_SECONDS, RECENT_SECONDS);
    return shown !== undefined && shown >= least * (1 - TOLERANCE) && shown <= most * (1 + TOLERANCE);
  }

  /** Looks at the last screen, for half a minute if a busy machine has none that is right, and ends `top`. */
  async end(): Promise<Verdict> {
    const deadlineMs = performance.now() + LAST_SCREEN_MS;
    let shown = this.#shownRate();
    for (; !this.#isRight(shown) && performance.now() < deadlineMs; shown = this.#shownRate()) await sleep(1000);
    const [least, most] = this.#rate.range(PERIOD_SECONDS, RECENT_SECONDS).map((rate) => rate.toFixed(0));
    if (shown !== undefined) this.#tmux.close();
    return {
      criterion: '`top --url` stays attached, and its last screen shows the rate of the VM that runs all the time',
      holds: this.#isRight(shown),
      figures:
        shown === undefined
          ? 'it has ended'
          : [
              `${shown} exits/s to QEMU, ${least} to ${most} by the guest`,
              `right on ${this.#rightScreens} of ${this.#screens} screens before`,
            ].join('; '),
    };
  }
}
