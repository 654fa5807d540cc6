/** What Prometheus stored before the benchmark began: written by remote write, with the values of each moment. */
import { alerts } from '../../../grafana/rules/alerts.js';
import { recordingRules } from '../../../grafana/rules/recording-rules.js';
import { THRESHOLDS } from '../../../grafana/thresholds.js';
import type { HostTables } from './host-tables.js';
import { type HostSeries, INTERVAL_S, RECORDED_EVERY_S, recordedSeries, scrapedSeries, valueAt } from './hosts.js';
import { PANELS } from './panels.js';
import { encodedLabels, remoteWrite, type WrittenSeries } from './remote-write.js';
import type { StoringPrometheus } from './storing-prometheus.js';

/** The rates of rules are over five minutes. */
const WARM_UP_SAMPLES = 10;
/** A recorded series, or one of an agent itself. The only other ones that rules read over hours are of fatal exits. */
const READ_BY_RULES = /(\w+:\w+:\w+|kvm_exit_exporter_\w+)(?:\{[^}]*\})?(?:\[| offset )(\d+)([hd])/g;
const READ_BY_PANELS = /\w+:\w+:\w+|kvm_\w+/g;

/** Names of the series that panels of the Fleet dashboard and rules read over hours -> how many hours. */
export function namesReadOverHours(hours: number): ReadonlyMap<string, number> {
  const names = new Map<string, number>();
  const add = (name: string, own: number) => names.set(name, Math.min(hours, Math.max(names.get(name) ?? 0, own)));
  for (const { expr, range } of PANELS.flatMap(({ targets = [] }) => targets))
    if (range === true) for (const [name] of expr.matchAll(READ_BY_PANELS)) add(name, hours);
  for (const { expr } of [...recordingRules(THRESHOLDS), ...alerts(THRESHOLDS)].flatMap(({ rules }) => rules))
    for (const [, name = '', count, unit] of expr.matchAll(READ_BY_RULES))
      add(name, Number(count) * (unit === 'd' ? 24 : 1));
  return names;
}

export interface LongSeries extends WrittenSeries {
  readonly hours: number;
  /** Seconds between two samples. */
  readonly every: number;
}

/** The series of all hosts that have one of these names. */
export function longSeries(tables: HostTables, hosts: number, names: ReadonlyMap<string, number>): LongSeries[] {
  return Array.from({ length: hosts }, (_, host) => host).flatMap((host) =>
    [...recordedSeries(tables, host, hosts), ...scrapedSeries(tables, host, hosts)].flatMap((series) => {
      const hours = names.get(series.name);
      return hours === undefined ? [] : [withHours(series, hours)];
    }),
  );
}

export function withHours(series: HostSeries, hours: number): LongSeries {
  return { ...written(series), hours, every: series.name.includes(':') ? RECORDED_EVERY_S : INTERVAL_S };
}

function written(series: HostSeries): WrittenSeries {
  return { labels: encodedLabels(series.name, series.labels), valueAt: (seconds) => valueAt(series, seconds) };
}

/** Writes the hours before now, hour by hour: Prometheus takes no sample that is much older than the newest one. */
export async function writeHours(prometheus: StoringPrometheus, all: readonly LongSeries[]): Promise<number> {
  const end = lastStep();
  const hours = Math.max(...all.map((series) => series.hours));
  let samples = 0;
  for (let hour = hours; hour > 0; hour--) {
    for (const every of [INTERVAL_S, RECORDED_EVERY_S]) {
      const times = Array.from({ length: 3600 / every }, (_, index) => end - hour * 3600 + index * every);
      const own = all.filter((series) => series.hours >= hour && series.every === every);
      samples += await remoteWrite(prometheus.url, own, times);
    }
  }
  return samples;
}

/** Writes the last minutes of every other series that the agents serve, so that rates have full windows at once. */
export async function writeWarmUp(
  prometheus: StoringPrometheus,
  tables: HostTables,
  hosts: number,
  names: ReadonlyMap<string, number>,
): Promise<void> {
  const end = lastStep();
  const times = Array.from({ length: WARM_UP_SAMPLES }, (_, index) => end - (WARM_UP_SAMPLES - 1 - index) * INTERVAL_S);
  await remoteWrite(prometheus.url, otherSeries(tables, hosts, names), times);
}

function* otherSeries(tables: HostTables, hosts: number, names: ReadonlyMap<string, number>): Generator<WrittenSeries> {
  for (let host = 0; host < hosts; host++)
    for (const series of scrapedSeries(tables, host, hosts)) if (!names.has(series.name)) yield written(series);
}

function lastStep(): number {
  return Math.floor(Date.now() / 1000 / INTERVAL_S) * INTERVAL_S;
}
