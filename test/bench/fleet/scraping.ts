/** Has Prometheus scrape all agents and evaluate the rules, and measures what that costs. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endLater } from '../../support/end-later.js';
import type { HostTables } from './host-tables.js';
import { INTERVAL_S, instanceOf } from './hosts.js';
import { RULES, type StoringPrometheus } from './storing-prometheus.js';

/** Prometheus allocates much for the first scrapes. */
const UNMEASURED_INTERVALS = 2;
const MEASURED_INTERVALS = 4;

export interface ScrapeCost {
  /** Series of the agents, without those that rules make. */
  readonly series: number;
  readonly recordedSeries: number;
  readonly samplesPerSecond: number;
  /** CPU seconds per second, of scrapes and rules. */
  readonly cpuShare: number;
  /** The highest value. */
  readonly residentBytes: number;
  readonly meanScrapeSeconds: number;
  readonly maxScrapeSeconds: number;
  readonly activeAlerts: number;
}

export interface GroupTime {
  readonly group: string;
  readonly intervalSeconds: number;
  readonly rules: number;
  /** Seconds of each evaluation. */
  readonly seconds: readonly number[];
}

/** Starts the agents and the scrapes. Resolves when the scrapes are steady. */
export async function startScraping(prometheus: StoringPrometheus, tables: HostTables, hosts: number, folder: string) {
  const port = await startAgents(tables, hosts, folder);
  const targets = join(folder, 'targets.json');
  writeFileSync(
    targets,
    JSON.stringify(
      Array.from({ length: hosts }, (_, host) => ({
        targets: [`127.0.0.1:${port}`],
        labels: { instance: instanceOf(host), __metrics_path__: `/${host}` },
      })),
    ),
  );
  await prometheus.configure({
    global: { scrape_interval: `${INTERVAL_S}s`, evaluation_interval: `${INTERVAL_S}s` },
    rule_files: RULES,
    scrape_configs: [{ job_name: 'kvm-exit-exporter', file_sd_configs: [{ files: [targets] }] }],
  });
  while ((await prometheus.number('count(up == 1)')) < hosts) await sleep(1000);
  await sleep(UNMEASURED_INTERVALS * INTERVAL_S * 1000);
}

async function startAgents(tables: HostTables, hosts: number, folder: string): Promise<number> {
  const path = join(folder, 'tables.json');
  writeFileSync(path, JSON.stringify(tables));
  const child = fork(join(import.meta.dirname, 'agents.js'), [path, String(hosts)]);
  const ended = once(child, 'close');
  endLater(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [port] = (await once(child, 'message')) as [number];
  return port;
}

export async function measureScraping(prometheus: StoringPrometheus): Promise<{
  readonly cost: ScrapeCost;
  readonly groups: readonly GroupTime[];
}> {
  const evaluations = new Map<string, Map<string, number>>();
  const before = await prometheus.metrics();
  let residentBytes = 0;
  const startMs = performance.now();
  while (performance.now() - startMs < MEASURED_INTERVALS * INTERVAL_S * 1000) {
    for (const { name, evaluationTime, lastEvaluation } of await prometheus.ruleGroups())
      evaluations.set(name, (evaluations.get(name) ?? new Map()).set(lastEvaluation, evaluationTime));
    residentBytes = Math.max(residentBytes, (await prometheus.metrics()).sum('process_resident_memory_bytes'));
    await sleep(2000);
  }
  const after = await prometheus.metrics();
  const seconds = (performance.now() - startMs) / 1000;
  const perSecond = (name: string) => (after.sum(name) - before.sum(name)) / seconds;
  const groups = await prometheus.ruleGroups();
  const unhealthy = groups.flatMap(({ rules }) => rules.filter(({ health }) => health !== 'ok'));
  if (unhealthy.length > 0) throw new Error(`rules fail: ${JSON.stringify(unhealthy)}`);
  const resets = (name: string) => `sum(resets(${name}{instance=~"host-00.+"}[3m]))`;
  const falls = await prometheus.number(`${resets('kvm_exits_total')} + ${resets('kvm_exit_duration_seconds_bucket')}`);
  if (falls > 0) throw new Error(`counters fell ${falls} times`);
  return {
    cost: {
      series: await prometheus.number('sum(scrape_samples_scraped)'),
      recordedSeries: await prometheus.number('count({__name__=~".+:.+"})'),
      samplesPerSecond: Math.round(perSecond('prometheus_tsdb_head_samples_appended_total')),
      cpuShare: perSecond('process_cpu_seconds_total'),
      residentBytes,
      meanScrapeSeconds: await prometheus.number('avg(scrape_duration_seconds)'),
      maxScrapeSeconds: await prometheus.number('max(scrape_duration_seconds)'),
      activeAlerts: await prometheus.number('count(ALERTS)'),
    },
    groups: groups.map(({ name, interval, rules }) => ({
      group: name,
      intervalSeconds: interval,
      rules: rules.length,
      seconds: [...(evaluations.get(name)?.values() ?? [])],
    })),
  };
}
