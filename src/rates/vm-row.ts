import type { LastingFinding } from '../advice/lasting-findings.js';
import { isFailedCall } from '../snapshot/tables/layer.js';
import { accessRates, type DeviceRate, deviceRates } from './access-rates.js';
import type { VmCounts } from './observation.js';
import { type Period, rise } from './period.js';
import { type TopReason, topReason } from './reason-rates.js';
import type { StatisticRate } from './statistic-rates.js';
import { meanShares, outsideGuest, sumOf, type TimeShares, timeShares } from './time-shares.js';

/** One VM's rates; null: not known (yet), or the share of nothing. */
export interface VmRow {
  /** '' for exits of threads that belong to no known VM. */
  readonly vm: string;
  readonly vcpus: number | null;
  /** True if sampling leaves it out: all of its events are counted. */
  readonly focused: boolean;
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
  /** Shares of the time of its vCPUs: 1 is the time of all of them. */
  readonly time_shares: TimeShares;
  readonly top_reason: TopReason | null;
  readonly top_device: TopDevice | null;
  /** What to change first; null if there is no finding. */
  readonly finding: RowFinding | null;
}

export type TopDevice = Pick<DeviceRate, 'layer' | 'device' | 'bus' | 'address' | 'accesses_per_second'>;

/** The finding that costs most. */
export interface RowFinding {
  /** Id of the rule, and name of its page in docs/advice. */
  readonly advice: string;
  readonly title: string;
  readonly severity: 'warning' | 'info';
  /** Seconds per second: 1 is one whole vCPU; null if no duration is known. */
  readonly cost: number | null;
}

/** The row of a VM that the newer observation of the period has. */
export function vmRow(
  vm: string,
  period: Period,
  own: StatisticRate,
  vcpus: number | null,
  finding: LastingFinding | undefined,
): VmRow {
  const { countsExits, shown, sampledFraction, focused } = period.newer;
  const [newer, older] = [period.newer.vms.get(vm) as VmCounts, period.before(vm)];
  const [kvmTotal, qemuTotal] = [totalOf(newer, 'kvm'), totalOf(newer, 'qemu')];
  // Some hosts have no kvm_exit, but their KVM counts exits nevertheless. Estimates are one period late, too.
  const isSampled = sampledFraction !== undefined && !focused.has(vm);
  const usesStatistics = (kvmTotal === 0 && !countsExits) || (own.exits !== null && (kvmTotal === 0 || isSampled));
  const traced = shown.exits ? period.perSecond(rise(kvmTotal, older && totalOf(older, 'kvm'))) : null;
  const kvm = usesStatistics ? own.exits : traced;
  const qemu = shown.returns ? period.perSecond(rise(qemuTotal, older && totalOf(older, 'qemu'))) : null;
  const times = [...newer.times].map(([vcpu, row]) => timeShares(row, older?.times.get(vcpu), period.seconds));
  return {
    vm,
    vcpus,
    focused: focused.has(vm),
    kvm_exits_per_second: kvm,
    qemu_exits_per_second: qemu,
    share_reaching_qemu: shareOf(qemu, kvm, usesStatistics || isSampled),
    io_exits_per_second: own.io,
    mmio_exits_per_second: own.mmio,
    halts_per_second: own.halts,
    time_outside_guest: sumOf(times, outsideGuest),
    time_in_qemu: sumOf(times, ({ qemu: inQemu }) => inQemu),
    time_ready: sumOf(times, ({ ready }) => ready),
    time_shares: meanShares(times),
    top_reason: topReason(newer, older, period),
    top_device: topDevice(newer, older, period),
    finding: finding === undefined ? null : rowFinding(finding),
  };
}

/**
 * @param isOtherTime true if the two are not of the same time, as with KVM's statistics: where more exits reached QEMU
 *   than there were, it is null
 */
function shareOf(qemu: number | null, kvm: number | null, isOtherTime: boolean): number | null {
  if (kvm === null || qemu === null || kvm === 0) return null;
  return isOtherTime && qemu > kvm ? null : qemu / kvm;
}

/** Exits of all vCPUs, without calls of KVM_RUN that failed. */
function totalOf({ exits }: VmCounts, layer: 'kvm' | 'qemu'): number {
  let sum = 0;
  for (const [reason, count] of exits[layer]) if (layer === 'kvm' || !isFailedCall(reason)) sum += count;
  return sum;
}

function topDevice(newer: VmCounts, older: VmCounts | undefined, period: Period): TopDevice | null {
  const [first] = deviceRates(accessRates(newer, older, period), period);
  if (first === undefined || period.seconds === null) return null;
  const { layer, device, bus, address, accesses_per_second } = first;
  return { layer, device, bus, address, accesses_per_second };
}

function rowFinding({ rule, load }: LastingFinding): RowFinding {
  return { advice: rule.id, title: rule.title, severity: rule.severity, cost: load.cost ?? null };
}
