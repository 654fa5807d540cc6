import { LastingFindings } from '../../advice/lasting-findings.js';
import type { GetOption } from '../../config/options.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { everyBeat } from '../../system/timers/beat.js';

/** Periods in the time that a finding has to last. */
const PERIODS = 5;

/** Watches what to change, as the options say. */
export class AdviceWatch {
  readonly #findings: LastingFindings;
  readonly #periodMs: number;
  #stop: (() => void) | undefined;

  constructor(get: GetOption) {
    this.#findings = new LastingFindings(get('advice.lasting'), get('advice.disable'));
    this.#periodMs = (get('advice.lasting') * 1000) / PERIODS;
  }

  /** Adds the findings to a snapshot. */
  addTo(snapshot: Snapshot): Snapshot {
    const rows = this.#findings.current.map(({ vm, rule, load }) => ({
      vm,
      advice: rule.id,
      severity: rule.severity,
      cost: load.cost ?? Number.NaN,
    }));
    return { ...snapshot, advice: rows };
  }

  get findings(): LastingFindings['current'] {
    return this.#findings.current;
  }

  /** Observes from now on, until {@link stop}. */
  start(takeSnapshot: () => Snapshot): void {
    const observe = () => this.#findings.observe(takeSnapshot(), performance.now());
    observe();
    this.#stop = everyBeat(this.#periodMs, observe);
  }

  stop(): void {
    this.#stop?.();
  }
}
