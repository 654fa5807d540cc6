import type { LastingFinding } from '../advice/lasting-findings.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { onBeat } from '../system/timers/beat.js';
import { type Observation, observationOf } from './observation.js';
import { Period } from './period.js';
import { StatisticRates } from './statistic-rates.js';
import { type VmDetail, vmDetail } from './vm-detail.js';
import { type VmRow, vmRow } from './vm-row.js';

/** The answer of /api/vms. */
export interface CurrentRates {
  /** Period that the rates cover; null if no rate is known yet. */
  readonly seconds: number | null;
  readonly vms: readonly VmRow[];
  /** Part of the time in which all events are counted: figures of VM exits are estimates. Null: always. */
  readonly sampled_fraction: number | null;
  readonly lost_events: number;
  readonly lost_events_per_second: number | null;
  readonly sources: readonly { readonly source: string; readonly up: boolean }[];
}

export interface VmRatesOptions {
  readonly now: () => number;
  /** CPU time of the program so far. On a busy host an observation takes much longer by the clock. */
  readonly cpuMs: () => number;
  /** What to change, those that cost most first; the same array until it is looked at again. */
  readonly findings: () => readonly LastingFinding[];
  /** Called with each observation. */
  readonly onObservation: (observation: Observation, statistics: StatisticRates) => void;
  /** A number that stays the same while the figures of all VMs do; undefined: they may change at any time. */
  readonly changes: () => number | undefined;
  /** Time between two observations, and the period that the rates cover. */
  readonly intervalMs: number;
  readonly windowMs: number;
  /** Shortest period of rates, used only just after the start; Infinity: rates begin with the next observation. */
  readonly minPeriodMs: number;
}

const NO_FINDINGS: readonly LastingFinding[] = [];
const DEFAULTS: VmRatesOptions = {
  now: () => performance.now(),
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  findings: () => NO_FINDINGS,
  onObservation: () => {},
  changes: () => undefined,
  intervalMs: 5000,
  windowMs: 10_000,
  minPeriodMs: 100,
};
/** Shortest pause after an observation, as a multiple of the CPU time that it took: at most 1 % of a CPU. */
const PAUSE_FACTOR = 100;
/** Timers are late by some milliseconds: the observation of ten seconds ago was made a bit earlier. */
const LATE = 1.05;

/**
 * Current rates of every VM: the difference between the oldest and the newest observation of the last ten seconds.
 * Observations do not depend on requests, so all viewers see the same figures, the first one included.
 */
export class VmRates {
  readonly #takeSnapshot: () => Snapshot;
  readonly #options: VmRatesOptions;
  /** From old to new; at most a window of them, and at least two once the second is made. */
  #observations: Observation[] = [];
  readonly #statistics = new StatisticRates();
  /** {@link VmRatesOptions.changes} of the latest snapshot. */
  #changes: number | undefined;
  /** True if the latest observation repeats the one before it. */
  #isRepeated = false;
  #current: { readonly rates: CurrentRates; readonly period: Period; readonly findings: unknown } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(takeSnapshot: () => Snapshot, options: Partial<VmRatesOptions> = {}) {
    this.#takeSnapshot = takeSnapshot;
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Observes from now on, until {@link stop}. */
  start(): void {
    const tookMs = this.observe();
    const pauseMs = Math.max(this.#options.intervalMs, PAUSE_FACTOR * tookMs);
    this.#timer = setTimeout(() => this.start(), onBeat(pauseMs, tookMs));
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /**
   * Makes an observation, without a snapshot if no figure of a VM has changed: a snapshot of a host without VMs takes
   * 4 ms, each five seconds. Returns the milliseconds of CPU time that it took.
   */
  observe(): number {
    const { now, cpuMs, changes } = this.#options;
    const [startMs, startCpuMs] = [now(), cpuMs()];
    const latest = this.#observations.at(-1);
    const isSame = latest !== undefined && this.#changes !== undefined && this.#changes === changes();
    const newest = isSame ? this.#add({ ...latest, atMs: startMs }) : this.#look(startMs);
    this.#isRepeated = isSame;
    this.#options.onObservation(newest, this.#statistics);
    return cpuMs() - startCpuMs;
  }

  /** The same object until the next observation, or until other findings are known. */
  current(): CurrentRates {
    return this.#atPresent().rates;
  }

  /** One VM in detail, from counts that are kept anyway; undefined if there is no such VM. */
  detail(vm: string): VmDetail | undefined {
    const { rates, period } = this.#atPresent();
    const row = rates.vms.find((each) => each.vm === vm);
    return row === undefined ? undefined : vmDetail(row, period, this.#options.findings());
  }

  /** Takes a snapshot. */
  #look(atMs: number): Observation {
    const snapshot = this.#takeSnapshot();
    this.#changes = this.#options.changes();
    this.#isRepeated = false;
    this.#statistics.observe(snapshot);
    return this.#add(observationOf(snapshot, atMs));
  }

  #add(newest: Observation): Observation {
    const sinceMs = newest.atMs - this.#options.windowMs * LATE;
    const kept = this.#observations.filter(({ atMs }) => atMs >= sinceMs);
    this.#observations = [...(kept.length > 0 ? kept : this.#observations.slice(-1)), newest];
    this.#current = undefined;
    return newest;
  }

  #atPresent() {
    const { now, minPeriodMs } = this.#options;
    const [oldest] = this.#observations;
    if (oldest === undefined || (this.#observations.length === 1 && now() - oldest.atMs >= minPeriodMs)) this.observe();
    // What does not belong to a VM, such as the state of a source, may have changed.
    else if (this.#isRepeated) this.#look(now());
    const findings = this.#options.findings();
    if (this.#current?.findings === findings) return this.#current;
    const newest = this.#observations.at(-1) as Observation;
    const period = new Period(newest, this.#observations.length > 1 ? this.#observations[0] : undefined);
    this.#current = { rates: ratesOf(period, this.#statistics, findings), period, findings };
    return this.#current;
  }
}

function ratesOf(period: Period, statistics: StatisticRates, findings: readonly LastingFinding[]): CurrentRates {
  const { vms, infos, sources, lost, sampledFraction = null } = period.newer;
  const vcpus = new Map(infos.map((info) => [info.vm, info.vcpus]));
  // The first one of a VM costs most.
  const worst = new Map([...findings].reverse().map((finding) => [finding.vm, finding]));
  const rows = Array.from(vms.keys(), (vm) =>
    vmRow(vm, period, statistics.of(vm), vcpus.get(vm) || null, worst.get(vm)),
  );
  return {
    seconds: period.seconds,
    vms: rows.sort((a, b) => (b.qemu_exits_per_second ?? 0) - (a.qemu_exits_per_second ?? 0) || (a.vm < b.vm ? -1 : 1)),
    sampled_fraction: sampledFraction,
    lost_events: lost,
    lost_events_per_second: period.lostPerSecond,
    sources: sources.map(({ source, up }) => ({ source, up })),
  };
}
