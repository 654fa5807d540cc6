import { advise, type Finding } from './advise.js';
import { StatisticReadings } from './statistic-readings.js';
import type { Observed } from './vm-sums.js';
import { workloadsOf } from './workload.js';

/** A finding that was made in every period for a while. */
export interface LastingFinding extends Finding {
  /** How long it has been made. */
  readonly lastedSeconds: number;
}

interface State {
  readonly latest: Finding;
  readonly sinceMs: number;
}

/**
 * Findings of a running agent. Each observation ends a period; a finding counts once it was made in each period for a
 * time, so that a boot or a burst is none. It ends with the first period in which it is not made.
 */
export class LastingFindings {
  readonly #lastingMs: number;
  readonly #disabled: readonly string[];
  #previous: { readonly observed: Observed; readonly atMs: number } | undefined;
  readonly #readings = new StatisticReadings();
  #states: ReadonlyMap<string, State> = new Map();
  #current: readonly LastingFinding[] = [];

  /** @param disabled ids of rules that the operator does not want */
  constructor(lastingSeconds: number, disabled: readonly string[]) {
    this.#lastingMs = lastingSeconds * 1000;
    this.#disabled = disabled;
  }

  /** The same array until the next observation, those that cost most first. */
  get current(): readonly LastingFinding[] {
    return this.#current;
  }

  observe(snapshot: Observed, atMs: number): void {
    const { exits, causes, io, durations, eventfds, vcpuTimes, statSeconds, vms, msrs, pageFaults, apicvInhibits } =
      snapshot;
    this.#readings.observe(statSeconds, atMs);
    const { latest, before } = this.#readings;
    const observed = {
      exits,
      causes,
      io,
      durations,
      eventfds,
      vcpuTimes,
      statSeconds: latest,
      vms,
      msrs,
      pageFaults,
      apicvInhibits,
    };
    const previous = this.#previous;
    this.#previous = { observed, atMs };
    if (previous === undefined || atMs <= previous.atMs) return;
    const seconds = (atMs - previous.atMs) / 1000;
    const older = { ...previous.observed, statSeconds: before };
    const findings = advise(workloadsOf(observed, older, seconds), seconds, this.#disabled);
    this.#states = new Map(
      findings.map((latest) => {
        const key = `${latest.vm}\0${latest.rule.id}`;
        return [key, { latest, sinceMs: this.#states.get(key)?.sinceMs ?? previous.atMs }];
      }),
    );
    this.#current = [...this.#states.values()]
      .filter(({ sinceMs }) => atMs - sinceMs >= this.#lastingMs)
      .map(({ latest, sinceMs }) => ({ ...latest, lastedSeconds: (atMs - sinceMs) / 1000 }));
  }
}
