import { type FindingData, findingData } from '../advice/finding-data.js';
import type { LastingFinding } from '../advice/lasting-findings.js';
import { OTHER } from '../trace/names.js';
import { type AccessRate, accessRates, type DeviceRate, deviceRates } from './access-rates.js';
import type { VmCounts } from './observation.js';
import { type Bounded, bounded, type Period, rise } from './period.js';
import { type ReasonRate, reasonRates } from './reason-rates.js';
import { type TimeShares, timeShares } from './time-shares.js';
import type { VmRow } from './vm-row.js';

/** The answer of /api/vm: what a VM did in the period. Lists are bounded; each says how many rows it leaves out. */
export interface VmDetail {
  /** Period that the rates cover; null if no rate is known yet. */
  readonly seconds: number | null;
  /** As in /api/vms; null for a VM in focus. */
  readonly sampled_fraction: number | null;
  /** The VM's row of /api/vms. */
  readonly vm: VmRow;
  /** In the order of their numbers. */
  readonly vcpus: Bounded<VcpuRow>;
  /** Those that cost most first. */
  readonly reasons: Bounded<ReasonRate>;
  readonly causes: Bounded<CauseRate>;
  readonly devices: Bounded<DeviceRate>;
  readonly accesses: Bounded<AccessRate>;
  /** What other exits were for; empty without the collector `indices`. */
  readonly purposes: Bounded<PurposeRate>;
  /** Those that cost most first. */
  readonly findings: Bounded<FindingData & { readonly lasted_seconds: number }>;
}

export interface VcpuRow {
  readonly vcpu: string;
  readonly kvm_exits_per_second: number | null;
  readonly qemu_exits_per_second: number | null;
  /** Null if no time is known of the vCPU. */
  readonly time_shares: TimeShares | null;
}

/** Exits to QEMU by the hardware exit that led to them. */
export interface CauseRate {
  /** `none` if no VM exit led to them. */
  readonly reason: string;
  readonly userspace_reason: string;
  /** In the period. */
  readonly exits: number;
  readonly exits_per_second: number | null;
}

/** Exits for one MSR, CPUID leaf, hypercall ... */
export interface PurposeRate {
  /** `MSR write`, `CPUID`, `page fault` ... */
  readonly event: string;
  /** `other` for the sum of those that are not listed one by one. */
  readonly which: string;
  /** In the period. */
  readonly times: number;
  readonly times_per_second: number | null;
}

/** @param findings of all VMs */
export function vmDetail(row: VmRow, period: Period, findings: readonly LastingFinding[]): VmDetail {
  const { vm } = row;
  const [newer, older] = [period.newer.vms.get(vm) as VmCounts, period.before(vm)];
  const accesses = accessRates(newer, older, period);
  return {
    seconds: period.seconds,
    sampled_fraction: row.focused ? null : (period.newer.sampledFraction ?? null),
    vm: row,
    vcpus: bounded(vcpuRows(newer, older, period)),
    reasons: bounded(reasonRates(newer, older, period)),
    causes: bounded(causeRates(newer, older, period)),
    devices: bounded(deviceRates(accesses, period)),
    accesses: bounded(accesses),
    purposes: bounded(purposeRates(newer, older, period)),
    findings: bounded(
      findings
        .filter((finding) => finding.vm === vm)
        .map((finding) => ({ ...findingData(finding), lasted_seconds: finding.lastedSeconds })),
    ),
  };
}

function vcpuRows(newer: VmCounts, older: VmCounts | undefined, period: Period): VcpuRow[] {
  const { exits, returns } = period.newer.shown;
  return [...new Set([...newer.vcpus.keys(), ...newer.times.keys()])]
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map((vcpu) => {
      const [now, then] = [newer.vcpus.get(vcpu), older?.vcpus.get(vcpu)];
      const times = newer.times.get(vcpu);
      return {
        vcpu,
        kvm_exits_per_second: exits ? period.perSecond(rise(now?.kvm ?? 0, then?.kvm)) : null,
        qemu_exits_per_second: returns ? period.perSecond(rise(now?.qemu ?? 0, then?.qemu)) : null,
        time_shares: times === undefined ? null : timeShares(times, older?.times.get(vcpu), period.seconds),
      };
    });
}

function causeRates(newer: VmCounts, older: VmCounts | undefined, period: Period): CauseRate[] {
  return [...newer.causes]
    .flatMap(([key, { reason, userspaceReason, count }]) => {
      const exits = rise(count, older?.causes.get(key)?.count);
      const perSecond = period.perSecond(exits);
      return exits === 0 ? [] : [{ reason, userspace_reason: userspaceReason, exits, exits_per_second: perSecond }];
    })
    .sort((a, b) => b.exits - a.exits);
}

function purposeRates(newer: VmCounts, older: VmCounts | undefined, period: Period): PurposeRate[] {
  return [...newer.purposes]
    .flatMap(([key, { event, which, count }]) => {
      const times = rise(count, older?.purposes.get(key)?.count);
      return times === 0 ? [] : [{ event, which, times, times_per_second: period.perSecond(times) }];
    })
    .sort((a, b) => Number(a.which === OTHER) - Number(b.which === OTHER) || b.times - a.times);
}
