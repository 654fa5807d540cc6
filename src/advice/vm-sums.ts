/** What a snapshot has counted of each VM, added up over its vCPUs by reason, address, MSR and kind (PURE). */
import type { MsrCount } from '../snapshot/tables/indices/msrs.js';
import type { PageFaultCount } from '../snapshot/tables/indices/page-faults.js';
import type { IoCount } from '../snapshot/tables/io.js';
import type { Layer } from '../snapshot/tables/layer.js';
import type { TableRows } from '../snapshot/tables.js';

/** The parts of a snapshot that advice is made from. */
export type Observed = Pick<
  TableRows,
  | 'exits'
  | 'causes'
  | 'io'
  | 'durations'
  | 'eventfds'
  | 'vcpuTimes'
  | 'statSeconds'
  | 'vms'
  | 'msrs'
  | 'pageFaults'
  | 'apicvInhibits'
>;

/**
 * Reasons for which APICv is off on the whole host: by its settings, or because the CPU lacks it. Kernels before 6.3
 * give no names, and the first reason of all of them is DISABLED.
 */
const OF_THE_HOST: ReadonlySet<string> = new Set(['DISABLED', '0', 'ABSENT']);

export interface TimedExits {
  readonly count: number;
  readonly seconds: number;
  readonly buckets: readonly number[];
}

/** Sums that grow, by key; the difference of two is what happened between them. */
export interface Sums {
  readonly exits: Map<string, { readonly layer: Layer; readonly reason: string; count: number }>;
  readonly durations: Map<string, TimedExits>;
  /** Exits to KVM that went on to QEMU, by reason. */
  readonly passedOn: Map<string, number>;
  readonly io: Map<string, IoCount>;
  kicks: number;
  readonly msrs: Map<string, MsrCount>;
  readonly pageFaults: Map<string, PageFaultCount>;
  isApicvOff: boolean;
  readonly vcpus: Set<string>;
}

export function noSums(): Sums {
  return {
    exits: new Map(),
    durations: new Map(),
    passedOn: new Map(),
    io: new Map(),
    kicks: 0,
    msrs: new Map(),
    pageFaults: new Map(),
    isApicvOff: false,
    vcpus: new Set(),
  };
}

/** Adds up the rows of a snapshot. VMs that only have times are missing. */
export function sumsByVm({
  exits,
  causes,
  io,
  durations,
  eventfds,
  msrs,
  pageFaults,
  apicvInhibits,
}: Observed): Map<string, Sums> {
  const sums = new Map<string, Sums>();
  const sumsOf = (vm: string): Sums => {
    const known = sums.get(vm);
    if (known !== undefined) return known;
    const added = noSums();
    sums.set(vm, added);
    return added;
  };
  for (const { vm, vcpu, layer, reason, count } of exits) {
    const own = sumsOf(vm);
    if (vcpu !== '') own.vcpus.add(vcpu);
    const key = `${layer}\0${reason}`;
    const row = own.exits.get(key);
    if (row === undefined) own.exits.set(key, { layer, reason, count });
    else row.count += count;
  }
  for (const { vm, layer, reason, count, sumSeconds, buckets } of durations)
    sumsOf(vm).durations.set(`${layer}\0${reason}`, { count, seconds: sumSeconds, buckets });
  for (const { vm, reason, count } of causes) {
    const { passedOn } = sumsOf(vm);
    passedOn.set(reason, (passedOn.get(reason) ?? 0) + count);
  }
  for (const row of io) sumsOf(row.vm).io.set(`${row.layer}\0${row.bus}\0${row.direction}\0${row.address}`, row);
  for (const row of msrs) sumsOf(row.vm).msrs.set(`${row.direction}\0${row.msr}`, row);
  for (const row of pageFaults) sumsOf(row.vm).pageFaults.set(row.kind, row);
  const inhibits = [...apicvInhibits].filter(({ isOn }) => isOn);
  const offOnHost = new Set(inhibits.filter(({ reason }) => OF_THE_HOST.has(reason)).map(({ vm }) => vm));
  for (const { vm } of inhibits) if (!offOnHost.has(vm)) sumsOf(vm).isApicvOff = true;
  for (const { vm, kind, seenBy, count } of eventfds)
    if (kind === 'ioeventfd' && seenBy === 'kvm') sumsOf(vm).kicks += count;
  return sums;
}
