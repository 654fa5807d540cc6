import { type ExitPurpose, exitPurposes, type PurposeTables } from '../snapshot/exit-purposes.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import type { CauseCount } from '../snapshot/tables/causes.js';
import type { ExitDuration } from '../snapshot/tables/durations.js';
import type { IoCount } from '../snapshot/tables/io.js';
import { isFailedCall, type Layer } from '../snapshot/tables/layer.js';
import type { VcpuTimes } from '../snapshot/tables/vcpu-times.js';

/** The parts of a snapshot that rates are made from. */
export type Observed = PurposeTables &
  Pick<
    Snapshot,
    | 'exits'
    | 'vcpuTimes'
    | 'durations'
    | 'causes'
    | 'io'
    | 'vms'
    | 'sources'
    | 'samplingErrors'
    | 'focusedVms'
    | 'sampledFraction'
  >;

/** What was counted of one VM up to a moment. */
export interface VmCounts {
  /** Reason -> exits of all vCPUs. */
  readonly exits: Readonly<Record<Layer, Map<string, number>>>;
  /** vCPU, '' if it is not known -> its exits by layer, without calls of KVM_RUN that failed. */
  readonly vcpus: Map<string, Record<Layer, number>>;
  /** vCPU -> its times. */
  readonly times: Map<string, VcpuTimes>;
  /** {@link reasonKey} -> durations. */
  readonly durations: Map<string, ExitDuration>;
  readonly causes: Map<string, CauseCount>;
  readonly io: Map<string, IoCount>;
  readonly purposes: Map<string, ExitPurpose>;
  /** Reason of VM exits -> error of their estimated number, as a part of it. */
  readonly samplingErrors: Map<string, number>;
}

/** What has been seen so far, of any VM. A kernel's KVM raises some of the events for all VMs, or for none. */
export interface Shown {
  /** VM exits. */
  readonly exits: boolean;
  /** Returns of KVM_RUN, or at least a source that would show them. */
  readonly returns: boolean;
}

/** What was counted up to a moment. Immutable, as the snapshot that it is made from. */
export interface Observation {
  readonly atMs: number;
  readonly vms: ReadonlyMap<string, VmCounts>;
  readonly infos: Observed['vms'];
  readonly sources: Observed['sources'];
  /** False if no source counts exits: then KVM's own statistics are all there is. */
  readonly countsExits: boolean;
  readonly lost: number;
  readonly shown: Shown;
  /** Part of the time in which all events are counted; undefined: always. */
  readonly sampledFraction: number | undefined;
  /** VMs of which all events are counted nevertheless. */
  readonly focused: ReadonlySet<string>;
}

/** Identifies a row of the exits or durations of a VM. */
export function reasonKey(layer: string, reason: string): string {
  return `${layer}\0${reason}`;
}

/** Groups the rows of a snapshot by VM. */
export function observationOf(snapshot: Observed, atMs: number): Observation {
  const { exits, vcpuTimes, durations, causes, io, sources } = snapshot;
  const vms = new Map<string, VmCounts>();
  const countsOf = (vm: string): VmCounts => {
    const known = vms.get(vm) ?? newCounts();
    vms.set(vm, known);
    return known;
  };
  for (const { vm } of snapshot.vms) countsOf(vm);
  const hasTrace = sources.some(({ source, up }) => up && source !== 'kubernetes');
  const shown = { exits: false, returns: hasTrace };
  for (const { vm, vcpu, layer, reason, count } of exits) {
    shown[layer === 'kvm' ? 'exits' : 'returns'] = true;
    const own = countsOf(vm);
    own.exits[layer].set(reason, (own.exits[layer].get(reason) ?? 0) + count);
    const ofVcpu = own.vcpus.get(vcpu) ?? { kvm: 0, qemu: 0 };
    own.vcpus.set(vcpu, ofVcpu);
    if (!isFailedCall(reason)) ofVcpu[layer] += count;
  }
  for (const row of vcpuTimes) countsOf(row.vm).times.set(row.vcpu, row);
  for (const row of durations) countsOf(row.vm).durations.set(reasonKey(row.layer, row.reason), row);
  for (const row of causes) countsOf(row.vm).causes.set(`${row.reason}\0${row.userspaceReason}`, row);
  for (const row of io) countsOf(row.vm).io.set(`${row.layer}\0${row.bus}\0${row.direction}\0${row.address}`, row);
  for (const row of exitPurposes(snapshot)) countsOf(row.vm).purposes.set(`${row.event}\0${row.which}`, row);
  for (const { vm, reason, count, low, high } of snapshot.samplingErrors)
    if (count > 0) countsOf(vm).samplingErrors.set(reason, Math.max(high - count, count - low) / count);
  return {
    atMs,
    vms,
    infos: snapshot.vms,
    sources,
    countsExits: exits.length > 0 || sources.some(({ source }) => source !== 'kubernetes'),
    lost: sources.flatMap((source) => source.lost).reduce((sum, { events }) => sum + events, 0),
    shown,
    sampledFraction: snapshot.sampledFraction,
    focused: new Set(snapshot.focusedVms.map(({ vm }) => vm)),
  };
}

function newCounts(): VmCounts {
  return {
    exits: { kvm: new Map(), qemu: new Map() },
    vcpus: new Map(),
    times: new Map(),
    durations: new Map(),
    causes: new Map(),
    io: new Map(),
    purposes: new Map(),
    samplingErrors: new Map(),
  };
}
