import { quantileOf } from '../count/counters/duration-histogram.js';
import { IDLE_REASONS } from '../count/vcpu/known-reasons.js';
import type { Observation, VmCounts } from '../rates/observation.js';
import { rise } from '../rates/period.js';
import { meanShares, type TimeShares, timeShares } from '../rates/time-shares.js';
import { isFailedCall, type Layer } from '../snapshot/tables/layer.js';

/** What one VM did between two observations. A figure that is not known is null, a list undefined. */
export interface VmStep {
  /** Exits per second. */
  readonly kvm: number | null;
  readonly qemu: number | null;
  /** Time of the vCPUs by state: 1 is the time of all of them. */
  readonly shares: TimeShares;
  /** Durations of the exits of each layer in seconds, without those of an idle guest. */
  readonly durations: Readonly<Record<Layer, Quantiles>>;
  /** Exits per second by reason. */
  readonly reasons: Readonly<Record<Layer, ReadonlyMap<string, number> | undefined>>;
  /** Accesses per second that went to QEMU, by device, or by address where the device is not known. */
  readonly devices: ReadonlyMap<string, number> | undefined;
  /** Exits per second by vCPU: to KVM, or to QEMU where the host does not show those to KVM. */
  readonly vcpus: ReadonlyMap<string, number> | undefined;
}

export interface Quantiles {
  readonly p50: number | null;
  readonly p99: number | null;
}

const IDLE: ReadonlySet<string> = new Set(IDLE_REASONS);

/** @param older undefined if the VM is new: its counters began at 0 */
export function vmStep(
  newer: VmCounts,
  older: VmCounts | undefined,
  { shown }: Pick<Observation, 'shown'>,
  seconds: number,
): VmStep {
  const rates = (now: ReadonlyMap<string, number>, then: ReadonlyMap<string, number> | undefined) =>
    new Map([...now].map(([name, count]) => [name, rise(count, then?.get(name)) / seconds]));
  const reasons = {
    kvm: shown.exits ? rates(newer.exits.kvm, older?.exits.kvm) : undefined,
    qemu: shown.returns ? withoutFailedCalls(rates(newer.exits.qemu, older?.exits.qemu)) : undefined,
  };
  const layer = shown.exits ? 'kvm' : 'qemu';
  return {
    kvm: sum(reasons.kvm),
    qemu: sum(reasons.qemu),
    shares: meanShares([...newer.times].map(([vcpu, times]) => timeShares(times, older?.times.get(vcpu), seconds))),
    durations: { kvm: quantiles(newer, older, 'kvm'), qemu: quantiles(newer, older, 'qemu') },
    reasons,
    devices: newer.io.size === 0 ? undefined : rates(devicesOf(newer), older && devicesOf(older)),
    vcpus: reasons[layer] && rates(exitsByVcpu(newer, layer), older && exitsByVcpu(older, layer)),
  };
}

function sum(rates: ReadonlyMap<string, number> | undefined): number | null {
  if (rates === undefined) return null;
  let sum = 0;
  for (const rate of rates.values()) sum += rate;
  return sum;
}

function withoutFailedCalls(byReason: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  return new Map([...byReason].filter(([reason]) => !isFailedCall(reason)));
}

function exitsByVcpu({ vcpus }: VmCounts, layer: Layer): Map<string, number> {
  return new Map([...vcpus].map(([vcpu, exits]) => [vcpu, exits[layer]]));
}

function devicesOf({ io }: VmCounts): Map<string, number> {
  const devices = new Map<string, number>();
  for (const { layer, bus, address, device, count } of io.values()) {
    if (layer === 'kvm') continue;
    const name = device === '' ? `${bus} ${address}` : device;
    devices.set(name, (devices.get(name) ?? 0) + count);
  }
  return devices;
}

/** Quantiles of the exits that ended in the step, all reasons together. */
function quantiles(newer: VmCounts, older: VmCounts | undefined, layer: Layer): Quantiles {
  let count = 0;
  let [minSeconds, maxSeconds] = [Number.POSITIVE_INFINITY, 0];
  let halfOctaves: number[] | undefined;
  for (const [key, now] of newer.durations) {
    const then = older?.durations.get(key);
    if (now.layer !== layer || IDLE.has(now.reason) || now.count <= (then?.count ?? 0)) continue;
    count += now.count - (then?.count ?? 0);
    minSeconds = Math.min(minSeconds, now.minSeconds);
    maxSeconds = Math.max(maxSeconds, now.maxSeconds);
    halfOctaves ??= now.halfOctaves.map(() => 0);
    for (let i = 0; i < halfOctaves.length; i++)
      halfOctaves[i] = (halfOctaves[i] as number) + rise(now.halfOctaves[i] as number, then?.halfOctaves[i]);
  }
  if (halfOctaves === undefined) return { p50: null, p99: null };
  const durations = { count, minSeconds, maxSeconds, halfOctaves };
  return { p50: quantileOf(durations, 0.5), p99: quantileOf(durations, 0.99) };
}
