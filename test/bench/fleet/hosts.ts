/**
 * The series of each host of a fleet, and their values at any time.
 *
 * A host has so many VMs that its agent has 2,000 to 10,000 series, 5,000 on average. VMs have 1 to 8 vCPUs; one in
 * twenty has an IDE disk. Each VM exits at the recorded rates, or up to thirty times as often.
 */
import type { HostTables, Labels, Row, Rows } from './host-tables.js';

/** Seconds between two scrapes. */
export const INTERVAL_S = 30;
/** Seconds between two evaluations of the recording rules: THRESHOLDS.recordEvery. */
export const RECORDED_EVERY_S = 60;
const MIN_SERIES = 2000;
const MAX_SERIES = 10_000;
const VCPUS = [1, 2, 4, 2, 8, 4, 2] as const;
const IDE_EVERY = 20;
const MAX_FACTOR = 30;

/** Work follows the time of day: rates are between 0.4 and 1.6 of their mean. */
const DAY_S = 86_400;
const WAVE = 0.6;
/** Seconds by which a counter may be ahead or behind. Less than half an interval, so that it never falls. */
const JITTER_S = 6;

export interface HostSeries extends Row {
  /** With `job` and `instance`. */
  readonly labels: Labels;
  /** Equal for the buckets of one histogram, so that they stay in order. */
  readonly seed: number;
}

/** The series that the host's agent serves. */
export function scrapedSeries(tables: HostTables, host: number, hosts: number): HostSeries[] {
  return seriesOf(tables.scraped, tables, host, hosts);
}

/** The series that recording rules make of them. */
export function recordedSeries(tables: HostTables, host: number, hosts: number): HostSeries[] {
  return seriesOf(tables.recorded, tables, host, hosts);
}

export function instanceOf(host: number): string {
  return `host-${String(host + 1).padStart(3, '0')}:10586`;
}

function seriesOf(rows: Rows, tables: HostTables, host: number, hosts: number): HostSeries[] {
  const target = { job: 'kvm-exit-exporter', instance: instanceOf(host) };
  const agent = rows.agent.map((row) => seeded(row, { ...row.labels, ...target }));
  const vms = vmsOf(tables, host, hosts).flatMap(({ name, kind, vcpus }) => {
    const factor = MAX_FACTOR ** unit(hash(`${target.instance} ${name}`));
    return rows[kind].flatMap((row) => {
      const scaled = { ...row, value: row.value * factor, perSecond: row.perSecond * factor };
      const own = isRate(row) ? scaled : row;
      const labels = { ...row.labels, vm: name, ...target };
      if (row.labels.vcpu === undefined) return [seeded(own, labels)];
      return Array.from({ length: vcpus }, (_, vcpu) => seeded(own, { ...labels, vcpu: String(vcpu) }));
    });
  });
  return [...agent, ...vms];
}

/** False for times, which cannot exceed those of a clock, and for gauges. */
function isRate({ name, type }: Row): boolean {
  if (/seconds|ratio|share|info|vcpus/.test(name) && !/_(bucket|count)$/.test(name)) return false;
  return type === 'counter' || type === 'histogram' || name.includes('exits');
}

function seeded(row: Row, labels: Labels): HostSeries {
  const { le: _, ...shared } = labels;
  return { ...row, labels, seed: hash(JSON.stringify([row.name, shared])) };
}

export interface HostVm {
  readonly name: string;
  readonly kind: 'virtio' | 'ide';
  readonly vcpus: number;
}

export function vmsOf({ scraped }: HostTables, host: number, hosts: number): readonly HostVm[] {
  const wanted = MIN_SERIES * (MAX_SERIES / MIN_SERIES) ** ((host + 0.5) / hosts);
  const vms: HostVm[] = [];
  for (let series = scraped.agent.length; series < wanted; ) {
    const index = host * 7 + vms.length;
    const kind = index % IDE_EVERY === 0 ? 'ide' : 'virtio';
    const vcpus = VCPUS[index % VCPUS.length] ?? 1;
    vms.push({ name: `instance-${String(vms.length + 1).padStart(8, '0')}`, kind, vcpus });
    const perVcpu = scraped[kind].filter(({ labels }) => labels.vcpu !== undefined).length;
    series += scraped[kind].length + perVcpu * (vcpus - 1);
  }
  return vms;
}

/** The value of a series, `seconds` after 1970; a host's counters began with the month. */
export function valueAt({ value, perSecond, seed, name }: Omit<HostSeries, 'labels'>, seconds: number): number {
  const step = Math.floor(seconds / INTERVAL_S);
  const angle = (2 * Math.PI * (seconds % DAY_S)) / DAY_S;
  if (name.includes(':')) return value * (1 + WAVE * Math.cos(angle)) * (1 + 0.02 * noise(seed, step));
  if (perSecond === 0) return value;
  const active = (seconds % (30 * DAY_S)) + (WAVE * DAY_S * Math.sin(angle)) / (2 * Math.PI);
  const total = value + perSecond * (active + JITTER_S * noise(seed, step));
  // A counter of seconds has six decimals.
  return name.includes('seconds') && !/_(bucket|count)$/.test(name) ? Math.round(total * 1e6) / 1e6 : Math.floor(total);
}

/** A number from -1 to 1 that depends on both. */
function noise(seed: number, step: number): number {
  return 2 * unit(mixed(seed ^ Math.imul(step, 0x9e3779b1))) - 1;
}

function hash(text: string): number {
  let hashed = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hashed = Math.imul(hashed ^ text.charCodeAt(index), 0x01000193);
  return mixed(hashed);
}

function mixed(bits: number): number {
  let mixing = bits;
  mixing = Math.imul(mixing ^ (mixing >>> 16), 0x85ebca6b);
  mixing = Math.imul(mixing ^ (mixing >>> 13), 0xc2b2ae35);
  return (mixing ^ (mixing >>> 16)) >>> 0;
}

function unit(bits: number): number {
  return bits / 2 ** 32;
}
