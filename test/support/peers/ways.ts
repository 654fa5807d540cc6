/**
 * The ways on which figures reach a storage, each with a demonstration of its own: scraped, over OTLP straight to
 * Prometheus 3, through a collector, and scraped or over OTLP by VictoriaMetrics with vmalert. `job` and `instance`
 * tell them apart.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebAgent } from '../agent/web-agent.js';
import { freePort } from '../free-port.js';
import { ROOT } from '../paths.js';
import { writeQuickRules } from '../prometheus/quick-rules.js';
import { startPeer } from './peer-process.js';

export type Way =
  | 'scrape'
  // Scraped by Prometheus 3, which converts histograms to native ones with custom buckets
  | 'nhcb'
  | 'otlp'
  // Histograms with exponential buckets, which Prometheus 3 keeps as native ones
  | 'exponential'
  // The receiver keeps dots in names, and the agent sends the names of /metrics
  | 'utf8'
  | 'collector'
  | 'remote-write'
  | 'victoria-scrape'
  | 'victoria-otlp';

export interface Ways {
  /** Address of a Prometheus-like HTTP API by way. */
  readonly api: Readonly<Record<Way, string>>;
  /** The label `instance` by way. */
  readonly instance: Readonly<Record<Way, string>>;
}

export const VICTORIA_RELABELLING = join(ROOT, 'deploy/victoriametrics/relabel.yml');

/** The options that VictoriaMetrics needs for OTLP; docs/peers.md lists the same. */
export const VICTORIA_OTLP_FLAGS = [
  '-opentelemetry.usePrometheusNaming',
  '-opentelemetry.promoteAllResourceAttributes=false',
  '-opentelemetry.promoteResourceAttributes=service.name,service.instance.id',
  '-opentelemetry.promoteScopeMetadata=false',
];

/** @param folder for configurations and data */
export async function startWays(folder: string): Promise<Ways> {
  const scraped = await WebAgent.start();
  const { host: target } = new URL(scraped.url);
  const prometheusPort = await freePort();
  const utf8Port = await freePort();
  const victoriaPort = await freePort();
  const alertPort = await freePort();
  const exporterPort = await freePort();
  const collectorPort = await freePort();
  const writingPort = await freePort();
  const prometheus = `http://127.0.0.1:${prometheusPort}`;
  const utf8 = `http://127.0.0.1:${utf8Port}`;
  const victoria = `http://127.0.0.1:${victoriaPort}`;

  const rules = writeQuickRules(folder);
  const file = (name: string, content: unknown) => {
    const path = join(folder, name);
    // JSON is YAML.
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  const scrapes = [{ job_name: 'kvm-exit-exporter', static_configs: [{ targets: [target] }] }];
  const common = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [...rules, ...writeQuickRules(folder, ['native-histograms/rules.yml'])],
  };
  const prometheusConfig = file('prometheus.yml', {
    ...common,
    scrape_configs: [
      ...scrapes,
      {
        job_name: 'kvm-exit-exporter-nhcb',
        convert_classic_histograms_to_nhcb: true,
        static_configs: [{ targets: [target], labels: { job: 'kvm-exit-exporter', instance: 'nhcb' } }],
      },
      {
        job_name: 'collector',
        honor_labels: true,
        static_configs: [{ targets: [`127.0.0.1:${exporterPort}`] }],
      },
    ],
  });
  const utf8Config = file('utf8.yml', { ...common, otlp: { translation_strategy: 'NoUTF8EscapingWithSuffixes' } });
  const victoriaConfig = file('scrape.yml', { global: { scrape_interval: '1s' }, scrape_configs: scrapes });
  const collectorConfig = file('collector.yml', {
    receivers: {
      'otlp/exporter': { protocols: { http: { endpoint: `127.0.0.1:${collectorPort}` } } },
      'otlp/writing': { protocols: { http: { endpoint: `127.0.0.1:${writingPort}` } } },
    },
    exporters: {
      prometheus: { endpoint: `127.0.0.1:${exporterPort}` },
      prometheusremotewrite: { endpoint: `${prometheus}/api/v1/write` },
    },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: {
        'metrics/exporter': { receivers: ['otlp/exporter'], exporters: ['prometheus'] },
        'metrics/writing': { receivers: ['otlp/writing'], exporters: ['prometheusremotewrite'] },
      },
    },
  });

  await Promise.all([
    ...(
      [
        [prometheusConfig, prometheusPort],
        [utf8Config, utf8Port],
      ] as const
    ).map(([config, port]) =>
      startPeer(
        'prometheus',
        [
          `--config.file=${config}`,
          `--storage.tsdb.path=${join(folder, String(port))}`,
          `--web.listen-address=127.0.0.1:${port}`,
          '--web.enable-otlp-receiver',
          '--web.enable-remote-write-receiver',
        ],
        `http://127.0.0.1:${port}/-/ready`,
      ),
    ),
    startPeer(
      'victoria-metrics',
      [
        `-httpListenAddr=127.0.0.1:${victoriaPort}`,
        `-storageDataPath=${join(folder, 'victoria')}`,
        `-promscrape.config=${victoriaConfig}`,
        `-relabelConfig=${VICTORIA_RELABELLING}`,
        ...VICTORIA_OTLP_FLAGS,
        // Answers with the newest figures, which tests cannot wait for.
        '-search.latencyOffset=1s',
      ],
      `${victoria}/health`,
    ),
    startPeer(
      'vmalert',
      [
        ...rules.map((path) => `-rule=${path}`),
        `-datasource.url=${victoria}`,
        `-remoteWrite.url=${victoria}`,
        // No Alertmanager
        '-notifier.blackhole',
        '-evaluationInterval=1s',
        `-httpListenAddr=127.0.0.1:${alertPort}`,
      ],
      `http://127.0.0.1:${alertPort}/health`,
    ),
    startPeer('otelcol', ['--config', collectorConfig], `http://127.0.0.1:${writingPort}/`),
  ]);

  const prometheusOtlp = `${prometheus}/api/v1/otlp`;
  const aggregation = 'OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION';
  const senders: readonly Sender[] = [
    { way: 'otlp', endpoint: prometheusOtlp },
    {
      way: 'exponential',
      endpoint: prometheusOtlp,
      environment: { [aggregation]: 'base2_exponential_bucket_histogram' },
    },
    { way: 'utf8', endpoint: `${utf8}/api/v1/otlp`, args: ['--otlp.metric-names=prometheus'] },
    { way: 'collector', endpoint: `http://127.0.0.1:${collectorPort}` },
    { way: 'remote-write', endpoint: `http://127.0.0.1:${writingPort}` },
    { way: 'victoria-otlp', endpoint: `${victoria}/opentelemetry` },
  ];
  // One after the other: all at once, a busy machine takes too long for each of them.
  for (const { way, endpoint, args = [], environment = {} } of senders)
    await WebAgent.startCommand('demo', [`--otlp.endpoint=${endpoint}`, '--otlp.interval=1s', ...args], {
      OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${way}`,
      ...environment,
    });
  return {
    api: {
      ...{ scrape: prometheus, nhcb: prometheus, otlp: prometheus, exponential: prometheus, utf8 },
      ...{ collector: prometheus, 'remote-write': prometheus },
      ...{ 'victoria-scrape': victoria, 'victoria-otlp': victoria },
    },
    instance: {
      ...{ scrape: target, nhcb: 'nhcb', otlp: 'otlp', exponential: 'exponential', utf8: 'utf8' },
      ...{ collector: 'collector', 'remote-write': 'remote-write' },
      ...{ 'victoria-scrape': target, 'victoria-otlp': 'victoria-otlp' },
    },
  };
}

/** A demonstration that sends over OTLP. */
interface Sender {
  readonly way: Way;
  readonly endpoint: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}
