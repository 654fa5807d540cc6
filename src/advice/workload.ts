/**
 * What the vCPUs of each VM did in a period: rates and durations, made from one snapshot (a recording) or from the
 * difference of two (a running agent).
 */
import { BUCKET_SECONDS } from '../count/counters/duration-histogram.js';
import type { MsrCount } from '../snapshot/tables/indices/msrs.js';
import type { PageFaultCount } from '../snapshot/tables/indices/page-faults.js';
import type { IoCount } from '../snapshot/tables/io.js';
import { LAYER_NOT_KNOWN, type Layer } from '../snapshot/tables/layer.js';
import type { VmInfo } from '../snapshot/tables/vms.js';
import { type TimeRate, vcpuTimesByVm } from './vcpu-times.js';
import { noSums, type Observed, type Sums, sumsByVm, type TimedExits } from './vm-sums.js';

export interface Workload {
  readonly vm: string;
  /** At least 1. */
  readonly vcpus: number;
  /** Undefined if only the trace names the VM. */
  readonly info: VmInfo | undefined;
  readonly exits: readonly ExitRate[];
  readonly io: readonly IoRate[];
  /** Kicks that KVM took. */
  readonly ioeventfdPerSecond: number;
  readonly times: readonly TimeRate[];
  readonly msrs: readonly MsrRate[];
  readonly pageFaults: readonly FaultRate[];
  /** True if something of the VM is known to keep APICv or AVIC off, and nothing of the host. */
  readonly isApicvOff: boolean;
}

export interface MsrRate extends Pick<MsrCount, 'direction' | 'msr'> {
  readonly perSecond: number;
}

export interface FaultRate extends Pick<PageFaultCount, 'kind'> {
  readonly perSecond: number;
}

export interface ExitRate {
  readonly layer: Layer;
  readonly reason: string;
  readonly perSecond: number;
  /** In layer `kvm`: those of them that did not go on to QEMU, and were no access to a device of the kernel. */
  readonly handledPerSecond: number;
  /** Mean and 99th percentile of one; undefined where no duration is known. */
  readonly meanSeconds: number | undefined;
  readonly p99Seconds: number | undefined;
}

export interface IoRate extends Pick<IoCount, 'layer' | 'bus' | 'direction' | 'device'> {
  /** NaN for the sum of the addresses that have no row of their own. */
  readonly address: number;
  readonly perSecond: number;
  /** Mean time of one in QEMU; undefined where it is not known. */
  readonly meanSeconds: number | undefined;
}

/** Faults in the memory of a guest, which accesses to devices are too on AMD and arm64. */
export const MEMORY_FAULTS: ReadonlySet<string> = new Set(['npf', 'EPT_VIOLATION', 'DABT_LOW']);

/**
 * @param older undefined if the period began when counting did
 * @param seconds length of the period, more than 0
 */
export function workloadsOf(newer: Observed, older: Observed | undefined, seconds: number): Workload[] {
  const before = older === undefined ? new Map<string, Sums>() : sumsByVm(older);
  const infos = new Map([...newer.vms].map((info) => [info.vm, info]));
  const sums = sumsByVm(newer);
  const times = vcpuTimesByVm(newer, older, seconds);
  const vms = [...new Set([...sums.keys(), ...times.keys()])].filter((vm) => vm !== '');
  return vms.map((vm) => ({
    ...workload(vm, infos.get(vm), sums.get(vm) ?? noSums(), before.get(vm), seconds),
    times: times.get(vm) ?? [],
  }));
}

function workload(
  vm: string,
  info: VmInfo | undefined,
  newer: Sums,
  older: Sums | undefined,
  seconds: number,
): Omit<Workload, 'times'> {
  /** A smaller sum started from 0 again, as that of a VM that the agent forgot in between. */
  const rise = (now: number, then = 0) => (now < then ? now : now - then);
  const io = [...newer.io].map(([key, { layer, bus, direction, device, address, count, qemuSeconds = 0 }]) => {
    const [accesses, inQemu] = [
      rise(count, older?.io.get(key)?.count),
      rise(qemuSeconds, older?.io.get(key)?.qemuSeconds),
    ];
    return {
      layer,
      bus,
      direction,
      device,
      address: Number(address),
      perSecond: accesses / seconds,
      meanSeconds: accesses > 0 && inQemu > 0 ? inQemu / accesses : undefined,
    };
  });
  const ioeventfdPerSecond = rise(newer.kicks, older?.kicks) / seconds;
  const inKernel = io.filter(({ layer, bus }) => layer === 'kvm' && bus === 'mmio');
  const mmioInKernel = ioeventfdPerSecond + inKernel.reduce((sum, { perSecond }) => sum + perSecond, 0);
  return {
    vm,
    vcpus: Math.max(1, info?.vcpus ?? 0, newer.vcpus.size),
    info,
    exits: [...newer.exits].map(([key, { layer, reason, count }]) => {
      const [timed, timedBefore] = [durationsOf(newer, layer, reason), durationsOf(older, layer, reason)];
      const timedCount = rise(timed?.count ?? 0, timedBefore?.count);
      const perSecond = rise(count, older?.exits.get(key)?.count) / seconds;
      const passedOn = rise(newer.passedOn.get(reason) ?? 0, older?.passedOn.get(reason)) / seconds;
      const elsewhere = layer === 'kvm' ? passedOn + (MEMORY_FAULTS.has(reason) ? mmioInKernel : 0) : 0;
      return {
        layer,
        reason,
        perSecond,
        handledPerSecond: Math.max(0, perSecond - elsewhere),
        meanSeconds: timedCount > 0 ? rise(timed?.seconds ?? 0, timedBefore?.seconds) / timedCount : undefined,
        p99Seconds: timedCount > 0 ? upperEdge(0.99, timedCount, timed?.buckets, timedBefore?.buckets) : undefined,
      };
    }),
    io,
    ioeventfdPerSecond,
    msrs: [...newer.msrs].map(([key, { direction, msr, count }]) => ({
      direction,
      msr,
      perSecond: rise(count, older?.msrs.get(key)?.count) / seconds,
    })),
    pageFaults: [...newer.pageFaults].map(([kind, fault]) => ({
      kind: fault.kind,
      perSecond: rise(fault.count, older?.pageFaults.get(kind)?.count) / seconds,
    })),
    isApicvOff: newer.isApicvOff,
  };
}

/**
 * Durations of the exits of a layer for a reason. Without kvm_userspace_exit, a recording shows the time from an exit
 * to the next entry, which is what the exit costs, and not how much of it was in QEMU. Faults have no duration then,
 * because faults in memory and accesses to devices of QEMU, which take longer, have the same reason.
 */
function durationsOf(sums: Sums | undefined, layer: Layer, reason: string): TimedExits | undefined {
  const known = sums?.durations.get(`${layer}\0${reason}`);
  if (known !== undefined || layer === 'qemu' || MEMORY_FAULTS.has(reason)) return known;
  return sums?.durations.get(`${LAYER_NOT_KNOWN}\0${reason}`);
}

/** Upper edge of the bucket in which a quantile is; Infinity beyond the last one. */
function upperEdge(quantile: number, count: number, now: readonly number[] = [], then: readonly number[] = []): number {
  const index = now.findIndex((value, bucket) => value - (then[bucket] ?? 0) >= quantile * count);
  return BUCKET_SECONDS[index] ?? Number.POSITIVE_INFINITY;
}
