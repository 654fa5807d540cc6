import type { Snapshot } from '../snapshot/snapshot.js';

/** Counters of one VM, summed over its vCPUs. */
interface VmTotals {
  kvmExits: number;
  qemuExits: number;
  outsideSeconds: number;
  outsideQemuSeconds: number;
}

/** The part of a snapshot that rates are computed from. */
interface Observation {
  readonly atMs: number;
  readonly vms: ReadonlyMap<string, VmTotals>;
  readonly snapshot: Pick<Snapshot, 'vms' | 'sources'>;
  readonly lost: number;
}

/** One VM's rates; null: not known yet, or the share of nothing. */
export interface VmRow {
  /** '' for exits of threads that belong to no known VM. */
  readonly vm: string;
  readonly vcpus: number;
  readonly kvm_exits_per_second: number | null;
  readonly qemu_exits_per_second: number | null;
  readonly share_reaching_qemu: number | null;
  /** Seconds per second: 1 is one whole vCPU. */
  readonly time_outside_guest: number | null;
  readonly time_in_qemu: number | null;
}

/** The answer of /api/vms. */
export interface CurrentRates {
  /** Period that the rates cover; null before the second observation, when no rate is known. */
  readonly seconds: number | null;
  readonly vms: readonly VmRow[];
  readonly lost_events: number;
  readonly lost_events_per_second: number | null;
  readonly sources: readonly { readonly source: string; readonly up: boolean }[];
}

/**
 * A snapshot of many VMs costs some time, so there is at most one per this interval, however many browsers show the
 * page.
 */
const MIN_INTERVAL_MS = 2000;

/** Current rates of every VM: the difference between the last two observations, which are made on demand. */
export class VmRates {
  readonly #takeSnapshot: () => Snapshot;
  readonly #now: () => number;
  #previous: Observation | undefined;
  #latest: Observation | undefined;
  #current: CurrentRates | undefined;

  constructor(takeSnapshot: () => Snapshot, now = () => performance.now()) {
    this.#takeSnapshot = takeSnapshot;
    this.#now = now;
  }

  /** The same object until the next observation. */
  current(): CurrentRates {
    const nowMs = this.#now();
    if (this.#current === undefined || this.#latest === undefined || nowMs - this.#latest.atMs >= MIN_INTERVAL_MS) {
      this.#previous = this.#latest;
      this.#latest = observe(this.#takeSnapshot(), nowMs);
      this.#current = ratesBetween(this.#previous, this.#latest);
    }
    return this.#current;
  }
}

function observe(snapshot: Snapshot, atMs: number): Observation {
  const vms = new Map<string, VmTotals>();
  const totalsOf = (vm: string): VmTotals => {
    const known = vms.get(vm) ?? { kvmExits: 0, qemuExits: 0, outsideSeconds: 0, outsideQemuSeconds: 0 };
    vms.set(vm, known);
    return known;
  };
  for (const { vm } of snapshot.vms) totalsOf(vm);
  for (const { vm, layer, count } of snapshot.exits) totalsOf(vm)[layer === 'kvm' ? 'kvmExits' : 'qemuExits'] += count;
  for (const { vm, kvmSeconds, qemuSeconds } of snapshot.outside) {
    const totals = totalsOf(vm);
    totals.outsideSeconds += kvmSeconds + qemuSeconds;
    totals.outsideQemuSeconds += qemuSeconds;
  }
  const lost = snapshot.sources.flatMap((source) => source.lost).reduce((sum, { events }) => sum + events, 0);
  return { atMs, vms, snapshot: { vms: snapshot.vms, sources: snapshot.sources }, lost };
}

function ratesBetween(previous: Observation | undefined, latest: Observation): CurrentRates {
  const seconds = previous === undefined ? null : (latest.atMs - previous.atMs) / 1000;
  const rate = (newer: number, older: number | undefined) =>
    seconds === null ? null : Math.max(0, newer - (older ?? 0)) / seconds;
  const vcpus = new Map(latest.snapshot.vms.map((info) => [info.vm, info.vcpus]));
  const rows = [...latest.vms].map(([vm, totals]): VmRow => {
    const old = previous?.vms.get(vm);
    const kvm = rate(totals.kvmExits, old?.kvmExits);
    const qemu = rate(totals.qemuExits, old?.qemuExits);
    return {
      vm,
      vcpus: vcpus.get(vm) ?? 0,
      kvm_exits_per_second: kvm,
      qemu_exits_per_second: qemu,
      share_reaching_qemu: kvm === null || qemu === null || kvm === 0 ? null : qemu / kvm,
      time_outside_guest: rate(totals.outsideSeconds, old?.outsideSeconds),
      time_in_qemu: rate(totals.outsideQemuSeconds, old?.outsideQemuSeconds),
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
