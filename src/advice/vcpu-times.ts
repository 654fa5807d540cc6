/** Times of vCPUs by state, and in the statistics of KVM, as seconds per second. */
import { TIME_STATES, type TimeState } from '../count/time/vcpu-time.js';
import type { StatisticRow } from '../snapshot/tables/statistics/kvm-statistics.js';
import type { TableRows } from '../snapshot/tables.js';
import type { Match, TimeMatch } from './rules/rule.js';

export interface TimeRate {
  readonly kind: 'state' | 'statistic';
  /** Name of the state, or KVM's name of the statistic. */
  readonly name: string;
  /** '' for the sum of all vCPUs. */
  readonly vcpu: string;
  /** Seconds per second. */
  readonly perSecond: number;
}

type Times = Pick<TableRows, 'vcpuTimes' | 'statSeconds'>;

/**
 * The rates of each VM.
 * @param older undefined if the period began when counting did
 * @param seconds length of the period, more than 0
 */
export function vcpuTimesByVm(newer: Times, older: Times | undefined, seconds: number): Map<string, TimeRate[]> {
  const rates = new Map<string, TimeRate[]>();
  const add = (vm: string, rate: TimeRate) => {
    const ofVm = rates.get(vm);
    if (ofVm === undefined) rates.set(vm, [rate]);
    else ofVm.push(rate);
  };
  const before = stateSeconds(older?.vcpuTimes ?? []);
  for (const [key, { vm, vcpu, name, value }] of stateSeconds(newer.vcpuTimes))
    add(vm, { kind: 'state', name, vcpu, perSecond: rise(value, before.get(key)?.value) / seconds });
  const readBefore = new Map([...(older?.statSeconds ?? [])].map((row) => [keyOf(row), row]));
  for (const row of newer.statSeconds) {
    const previous = readBefore.get(keyOf(row));
    // KVM counts from the creation of a VM on, so the first reading is no rate.
    if (previous === undefined || previous.readMs >= row.readMs) continue;
    const perSecond = rise(row.value, previous.value) / ((row.readMs - previous.readMs) / 1000);
    add(row.vm, { kind: 'statistic', name: row.stat, vcpu: row.vcpu, perSecond });
  }
  return rates;
}

export function isTimeMatch(match: Match): match is TimeMatch {
  return 'state' in match || 'statistics' in match;
}

/** The times that a rule looks at. */
export function timesOf(times: readonly TimeRate[], match: TimeMatch): TimeRate[] {
  return times.filter(({ kind, name }) =>
    'state' in match
      ? kind === 'state' && name === match.state
      : kind === 'statistic' && match.statistics.includes(name),
  );
}

/** The vCPU with the most of them; of a sum over all vCPUs, a mean one. */
export function mostOfOneVcpu(times: readonly TimeRate[], vcpus: number): { vcpu: string; perSecond: number } {
  const sums = new Map<string, number>();
  for (const { vcpu, perSecond } of times)
    sums.set(vcpu, (sums.get(vcpu) ?? 0) + perSecond / (vcpu === '' ? vcpus : 1));
  const [most] = [...sums].sort(([, a], [, b]) => b - a);
  return { vcpu: most?.[0] ?? '', perSecond: most?.[1] ?? 0 };
}

interface StateSeconds {
  readonly vm: string;
  readonly vcpu: string;
  readonly name: TimeState;
  readonly value: number;
}

function stateSeconds(rows: TableRows['vcpuTimes']): Map<string, StateSeconds> {
  const entries = [...rows].flatMap((row) =>
    TIME_STATES.flatMap((name): [string, StateSeconds][] => {
      const [{ vm, vcpu }, value] = [row, row[`${name}Seconds`]];
      return value === undefined ? [] : [[`${vm}\0${vcpu}\0${name}`, { vm, vcpu, name, value }]];
    }),
  );
  return new Map(entries);
}

function keyOf({ vm, vcpu, stat }: StatisticRow): string {
  return `${vm}\0${vcpu}\0${stat}`;
}

/** A smaller sum started from 0 again. */
function rise(now: number, then = 0): number {
  return now < then ? now : now - then;
}
