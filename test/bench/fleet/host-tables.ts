/**
 * What a host's series look like: names, labels and rates, recorded from the program and from Prometheus.
 *
 * The demonstration runs for a round of its recording, while Prometheus scrapes it and evaluates the rules of
 * deploy/prometheus.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { recordingRules } from '../../../grafana/rules/recording-rules.js';
import { ruleFile } from '../../../grafana/rules/rule-files.js';
import { THRESHOLDS } from '../../../grafana/thresholds.js';
import { WebAgent } from '../../support/agent/web-agent.js';
import { endAll } from '../../support/end-later.js';
import { parseMetrics } from '../../support/prometheus/metrics-text.js';
import { StoringPrometheus } from './storing-prometheus.js';

export type Labels = Readonly<Record<string, string>>;

/** A series of one VM or of the agent. The labels are without `vm`, `job` and `instance`. */
export interface Row {
  readonly name: string;
  readonly labels: Labels;
  readonly type: string;
  readonly value: number;
  /** How fast a counter rises; 0 for other types. */
  readonly perSecond: number;
}

/** Rows of a VM with a virtio disk, of one with an IDE disk, and of the agent. */
export interface Rows {
  readonly virtio: readonly Row[];
  readonly ide: readonly Row[];
  readonly agent: readonly Row[];
}

export interface HostTables {
  readonly scraped: Rows;
  /** The series that the recording rules make. */
  readonly recorded: Rows;
}

const ROUND_MS = 22_000;
/** The demonstration needs ten seconds before it shows findings. */
const START_MS = 12_000;
const VMS = { virtio: 'web-1', ide: 'legacy-db' } as const;
/** The demonstration's CPU is an emulated one, whose exits take about ten times as long as those of a real one. */
const SLOWNESS = 10;
/** Rows that the agent of a real host has, and the demonstration has not: buffers of 64 CPUs, and times of vCPUs. */
const HOST_CPUS = 64;
const MORE_AGENT_ROWS: readonly Row[] = ['lost_events', 'unknown_gaps'].flatMap((kind) =>
  Array.from({ length: HOST_CPUS }, (_, cpu) => ({
    name: `kvm_exit_exporter_${kind}_total`,
    labels: { source: 'tracefs', cpu: String(cpu) },
    type: 'counter',
    value: 0,
    perSecond: 0,
  })),
);
const MORE_VM_ROWS: readonly Row[] = [
  { name: 'kvm_vm_start_time_seconds', labels: {}, type: 'gauge', value: 1.75e9, perSecond: 0 },
  {
    name: 'kvm_vcpu_seconds_total',
    labels: { vcpu: '0', state: 'ready' },
    type: 'counter',
    value: 1,
    perSecond: 0.001,
  },
];
/** The rules' rates are over five minutes, for which the demonstration would have to run. */
const RATE_WINDOW = '20s';

export async function recordTables(folder: string): Promise<HostTables> {
  const agent = await WebAgent.start();
  const { host } = new URL(agent.url);
  const rules = join(folder, 'rules.yml');
  const own = ruleFile(recordingRules({ ...THRESHOLDS, recordEvery: '1s' })).replaceAll(
    `[${THRESHOLDS.rateWindow}]`,
    `[${RATE_WINDOW}]`,
  );
  writeFileSync(rules, own);
  const prometheus = await StoringPrometheus.start(join(folder, 'recording'), {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [rules],
    scrape_configs: [{ job_name: 'kvm-exit-exporter', static_configs: [{ targets: [host] }] }],
  });
  await sleep(START_MS);
  const before = valuesOf(await scrape(agent));
  const startMs = performance.now();
  await sleep(ROUND_MS);
  const after = await scrape(agent);
  const seconds = (performance.now() - startMs) / 1000;
  const scraped = [...parseMetrics(after).values()].flatMap(({ type = '', samples }) =>
    samples.map(({ name, labels, value }) => {
      const isCounter = type === 'counter' || type === 'histogram';
      const rise = value - (before.get(keyOf(name, labels)) ?? 0);
      return { name, labels: Object.fromEntries(labels), type, value, perSecond: isCounter ? rise / seconds : 0 };
    }),
  );
  const recorded = (await prometheus.query('{__name__=~".+:.+"}')).map(({ labels, value }) => {
    const { __name__: name = '', instance: _, job: __, ...own } = labels;
    return { name, labels: own, type: 'gauge', value, perSecond: 0 };
  });
  await endAll();
  if (recorded.length === 0) throw new Error('the rules made no series');
  const { virtio, ide, agent: ofAgent } = byOwner(scraped);
  return {
    scraped: {
      virtio: [...virtio, ...MORE_VM_ROWS],
      ide: [...ide, ...MORE_VM_ROWS],
      agent: [...ofAgent, ...MORE_AGENT_ROWS],
    },
    recorded: byOwner(recorded),
  };
}

async function scrape(agent: WebAgent): Promise<string> {
  return (await fetch(`${agent.url}/metrics`)).text();
}

function valuesOf(text: string): ReadonlyMap<string, number> {
  const samples = [...parseMetrics(text).values()].flatMap((family) => family.samples);
  return new Map(samples.map(({ name, labels, value }) => [keyOf(name, labels), value]));
}

function keyOf(name: string, labels: ReadonlyMap<string, string>): string {
  return JSON.stringify([name, ...labels]);
}

function byOwner(rows: readonly Row[]): Rows {
  const ofVm = (vm: string | undefined) =>
    rows
      .filter(({ labels }) => labels.vm === vm)
      .map(({ labels: { vm: _, ...labels }, ...row }) => asOnRealCpu({ ...row, labels: withoutReplay(labels) }));
  return { virtio: ofVm(VMS.virtio), ide: ofVm(VMS.ide), agent: ofVm(undefined) };
}

function withoutReplay(labels: Labels): Labels {
  return 'demo' in labels ? { ...labels, demo: '' } : labels;
}

/** Otherwise the alert about lost time would be active for every VM. */
function asOnRealCpu(row: Row): Row {
  const isSlow = row.labels.state === 'kvm' || row.labels.state === 'qemu' || row.name.includes('seconds_lost');
  return isSlow ? { ...row, value: row.value / SLOWNESS, perSecond: row.perSecond / SLOWNESS } : row;
}
