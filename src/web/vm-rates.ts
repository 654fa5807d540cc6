import type { Snapshot } from '../snapshot/snapshot.js';
import { isFailedCall } from '../snapshot/tables/layer.js';
import type { VcpuTimes } from '../snapshot/tables/vcpu-times.js';
import { StatisticRates } from './statistic-rates.js';

/** Counters of one VM. */
interface VmTotals {
  kvmExits: number;
  qemuExits: number;
  /** vCPU -> its times. */
  readonly times: Map<string, VcpuTimes>;
}

/** The part of a snapshot that rates are computed from. */
interface Observation {
  readonly atMs: number;
  readonly vms: ReadonlyMap<string, VmTotals>;
  readonly snapshot: Pick<Snapshot, 'vms' | 'sources'>;
  /** False if no source counts exits: then KVM's own statistics are all there is. */
  readonly countsExits: boolean;
  readonly lost: number;
  readonly shown: Shown;
}

/** What has been seen so far, of any VM. A kernel's KVM raises some of the events for all VMs, or for none. */
interface Shown {
  /** VM exits. */
  readonly exits: boolean;
  /** Returns of KVM_RUN, or at least a source that would show them. */
  readonly returns: boolean;
}

/** One VM's rates; null: not known (yet), or the share of nothing. */
export interface VmRow {
  /** '' for exits of threads that belong to no known VM. */
  readonly vm: string;
  readonly vcpus: number | null;
  readonly kvm_exits_per_second: number | null;
  /** Without calls of KVM_RUN that failed. */
  readonly qemu_exits_per_second: number | null;
  readonly share_reaching_qemu: number | null;
  /** KVM's own statistics of exits for ports, exits to QEMU for MMIO, and idle vCPUs. */
  readonly io_exits_per_second: number | null;
  readonly mmio_exits_per_second: number | null;
  readonly halts_per_second: number | null;
  /** Seconds per second in KVM and in QEMU: 1 is one whole vCPU, and no vCPU has more. */
  readonly time_outside_guest: number | null;
  readonly time_in_qemu: number | null;
  /** Seconds per second in which a vCPU waited for a host CPU. */
  readonly time_ready: number | null;
}

/** The answer of /api/vms. */
export interface CurrentRates {
  /** Period that the rates cover; null if no rate is known yet. */
  readonly seconds: number | null;
  readonly vms: readonly VmRow[];
  readonly lost_events: number;
  readonly lost_events_per_second: number | null;
  readonly sources: readonly { readonly source: string; readonly up: boolean }[];
}

/** Time between two observations, and the period that the rates cover. */
const INTERVAL_MS = 5000;
const WINDOW_MS = 10_000;
/** Shortest pause after an observation, as a multiple of the time that it took: at most 1 % of a CPU. */
const PAUSE_FACTOR = 100;
/** Shortest period of rates, used only just after the start. */
const MIN_PERIOD_MS = 100;

/**
 * Current rates of every VM: the difference between the oldest and the newest observation of the last ten seconds.
 * Observations do not depend on requests, so all viewers see the same figures, the first one included.
 */
export class VmRates {
  readonly #takeSnapshot: () => Snapshot;
  readonly #now: () => number;
  /** From old to new; at most a window of them, and at least two once the second is made. */
  #observations: Observation[] = [];
  readonly #statistics = new StatisticRates();
  #current: CurrentRates | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(takeSnapshot: () => Snapshot, now = () => performance.now()) {
    this.#takeSnapshot = takeSnapshot;
    this.#now = now;
  }

  /** Observes from now on, until {@link stop}. */
  start(): void {
    const tookMs = this.observe();
    this.#timer = setTimeout(() => this.start(), Math.max(INTERVAL_MS, PAUSE_FACTOR * tookMs));
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Makes an observation. Returns the milliseconds that it took. */
  observe(): number {
    const startMs = this.#now();
    const snapshot = this.#takeSnapshot();
    const newest = observe(snapshot, startMs);
    this.#statistics.observe(snapshot);
    const kept = this.#observations.filter(({ atMs }) => atMs >= startMs - WINDOW_MS);
    this.#observations = [...(kept.length > 0 ? kept : this.#observations.slice(-1)), newest];
    this.#current = undefined;
    return this.#now() - startMs;
  }

  /** The same object until the next observation. */
  current(): CurrentRates {
    const [oldest] = this.#observations;
    if (oldest === undefined || (this.#observations.length === 1 && this.#now() - oldest.atMs >= MIN_PERIOD_MS))
      this.observe();
    this.#current ??= ratesBetween(this.#observations, this.#statistics);
    return this.#current;
  }
}

function observe(snapshot: Snapshot, atMs: number): Observation {
  const vms = new Map<string, VmTotals>();
  const totalsOf = (vm: string): VmTotals => {
    const known = vms.get(vm) ?? { kvmExits: 0, qemuExits: 0, times: new Map() };
    vms.set(vm, known);
    return known;
  };
  for (const { vm } of snapshot.vms) totalsOf(vm);
  const shown = {
    exits: false,
    returns: snapshot.sources.some(({ source, up }) => up && source !== 'kubernetes'),
  };
  for (const { vm, layer, reason, count } of snapshot.exits) {
    shown[layer === 'kvm' ? 'exits' : 'returns'] = true;
    if (layer === 'kvm') totalsOf(vm).kvmExits += count;
    else if (!isFailedCall(reason)) totalsOf(vm).qemuExits += count;
  }
  for (const row of snapshot.vcpuTimes) totalsOf(row.vm).times.set(row.vcpu, row);
  const lost = snapshot.sources.flatMap((source) => source.lost).reduce((sum, { events }) => sum + events, 0);
  const countsExits = snapshot.exits.length > 0 || snapshot.sources.some(({ source }) => source !== 'kubernetes');
  return { atMs, vms, snapshot: { vms: snapshot.vms, sources: snapshot.sources }, countsExits, lost, shown };
}

/** Undefined if the host does not show the time in KVM. */
function lostSeconds({ kvmSeconds, qemuSeconds = 0 }: VcpuTimes): number | undefined {
  return kvmSeconds === undefined ? undefined : kvmSeconds + qemuSeconds;
}

/** @param observations one or more, from old to new */
function ratesBetween(observations: readonly Observation[], statistics: StatisticRates): CurrentRates {
  const latest = observations[observations.length - 1] as Observation;
  const previous = observations.length > 1 ? observations[0] : undefined;
  const seconds = previous === undefined ? null : (latest.atMs - previous.atMs) / 1000;
  const rate = (newer: number, older: number | undefined) =>
    seconds === null ? null : Math.max(0, newer - (older ?? 0)) / seconds;
  /**
   * The time of all vCPUs together; null if no vCPU shows it. Time is counted up to the vCPU's latest reading. If that
   * was before the period, a vCPU gains more than there is.
   */
  const share = (newer: VmTotals, older: VmTotals | undefined, secondsOf: (times: VcpuTimes) => number | undefined) => {
    const shares = [...newer.times].flatMap(([vcpu, own]) => {
      const now = secondsOf(own);
      const before = older?.times.get(vcpu);
      return now === undefined ? [] : (rate(now, before && secondsOf(before)) ?? []);
    });
    return shares.length === 0 ? null : shares.reduce((sum, ofVcpu) => sum + Math.min(1, ofVcpu), 0);
  };
  const { exits, returns } = latest.shown;
  const vcpus = new Map(latest.snapshot.vms.map((info) => [info.vm, info.vcpus]));
  const rows = [...latest.vms].map(([vm, totals]): VmRow => {
    const old = previous?.vms.get(vm);
    const own = statistics.of(vm);
    // Some hosts have no kvm_exit, but their KVM counts exits nevertheless.
    const usesStatistics = totals.kvmExits === 0 && (!latest.countsExits || own.exits !== null);
    const traced = exits ? rate(totals.kvmExits, old?.kvmExits) : null;
    const kvm = usesStatistics ? own.exits : traced;
    const qemu = returns ? rate(totals.qemuExits, old?.qemuExits) : null;
    return {
      vm,
      vcpus: vcpus.get(vm) || null,
      kvm_exits_per_second: kvm,
      qemu_exits_per_second: qemu,
      io_exits_per_second: own.io,
      mmio_exits_per_second: own.mmio,
      halts_per_second: own.halts,
      share_reaching_qemu: kvm === null || qemu === null || kvm === 0 ? null : qemu / kvm,
      time_outside_guest: share(totals, old, lostSeconds),
      time_in_qemu: share(totals, old, ({ qemuSeconds }) => qemuSeconds),
      time_ready: share(totals, old, ({ readySeconds }) => readySeconds),
    };
  });
  return {
    seconds,
    vms: rows.sort((a, b) => (b.qemu_exits_per_second ?? 0) - (a.qemu_exits_per_second ?? 0) || (a.vm < b.vm ? -1 : 1)),
    lost_events: latest.lost,
    lost_events_per_second: rate(latest.lost, previous?.lost),
    sources: latest.snapshot.sources.map(({ source, up }) => ({ source, up })),
  };
}
