import type { Snapshot } from '../snapshot/snapshot.js';

/** Of one VM, since it was first seen. */
interface Totals {
  kvmExits: number;
  qemuExits: number;
  outsideSeconds: number;
  outsideQemuSeconds: number;
}

interface Look {
  readonly atMs: number;
  readonly vms: ReadonlyMap<string, Totals>;
  readonly snapshot: Pick<Snapshot, 'vms' | 'sources'>;
  readonly lost: number;
}

/** Per second, except for shares. Null where it is not known yet, or nothing happened that a share could be of. */
export interface VmRow {
  /** '' for exits of threads that belong to no VM known. */
  readonly vm: string;
  readonly vcpus: number;
  readonly kvm_exits_per_second: number | null;
  readonly qemu_exits_per_second: number | null;
  readonly share_reaching_qemu: number | null;
  /** Of a second: 1 is one whole vCPU. */
  readonly time_outside_guest: number | null;
  readonly time_in_qemu: number | null;
}

export interface VmsAnswer {
  /** Of what time the rates are; null: they come with the next look. */
  readonly seconds: number | null;
  readonly vms: readonly VmRow[];
  readonly lost_events: number;
  readonly lost_events_per_second: number | null;
  readonly sources: readonly { readonly source: string; readonly up: boolean }[];
}

/** A snapshot of many VMs costs some time, so two looks are never closer together than this, however many people watch. */
const CLOSEST_MS = 2000;

/** What the VMs do just now: the difference between two looks at the counters, taken when somebody asks. */
export class VmRates {
  readonly #takeSnapshot: () => Snapshot;
  readonly #now: () => number;
  #before: Look | undefined;
  #last: Look | undefined;

  constructor(takeSnapshot: () => Snapshot, now = () => performance.now()) {
    this.#takeSnapshot = takeSnapshot;
    this.#now = now;
  }

  answer(): VmsAnswer {
    const nowMs = this.#now();
    if (this.#last === undefined || nowMs - this.#last.atMs >= CLOSEST_MS) {
      this.#before = this.#last;
      this.#last = look(this.#takeSnapshot(), nowMs);
    }
    return compare(this.#last, this.#before);
  }
}

function look(snapshot: Snapshot, atMs: number): Look {
  const vms = new Map<string, Totals>();
  const of = (vm: string): Totals => {
    const known = vms.get(vm) ?? { kvmExits: 0, qemuExits: 0, outsideSeconds: 0, outsideQemuSeconds: 0 };
    vms.set(vm, known);
    return known;
  };
  for (const { vm } of snapshot.vms) of(vm);
  for (const { vm, layer, count } of snapshot.exits) of(vm)[layer === 'kvm' ? 'kvmExits' : 'qemuExits'] += count;
  for (const { vm, kvmSeconds, qemuSeconds } of snapshot.outside) {
    const totals = of(vm);
    totals.outsideSeconds += kvmSeconds + qemuSeconds;
    totals.outsideQemuSeconds += qemuSeconds;
  }
  const lost = snapshot.sources.flatMap((source) => source.lost).reduce((sum, { events }) => sum + events, 0);
  return { atMs, vms, snapshot: { vms: snapshot.vms, sources: snapshot.sources }, lost };
}

function compare(now: Look, before: Look | undefined): VmsAnswer {
  const seconds = before === undefined ? null : (now.atMs - before.atMs) / 1000;
  const rate = (newer: number, older: number | undefined) =>
    seconds === null ? null : Math.max(0, newer - (older ?? 0)) / seconds;
  const vcpus = new Map(now.snapshot.vms.map((info) => [info.vm, info.vcpus]));
  const rows = [...now.vms].map(([vm, totals]): VmRow => {
    const old = before?.vms.get(vm);
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
    lost_events: now.lost,
    lost_events_per_second: rate(now.lost, before?.lost),
    sources: now.snapshot.sources.map(({ source, up }) => ({ source, up })),
  };
}
