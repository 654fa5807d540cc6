/**
 * Builds the programs of binaries.ts with Go, from the Go module proxy alone:
 *
 *   node build/test/support/peers/build.js
 *
 * It takes about 10 minutes on one CPU, and 240 MB of the cache. An interrupted build goes on where it was. Exit code
 * 75: Go or its module proxy is missing here.
 */
import { execFile, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BUILD_FOLDER, compile, download, go, newModule, runBuild } from '../go-build.js';
import { CACHE_FOLDER, isMissing, PEERS, PROMETHEUS_VERSION, pathOfPeer, VERSIONS } from './binaries.js';

const PROMETHEUS = 'github.com/prometheus/prometheus';
const ALERTMANAGER = 'github.com/prometheus/alertmanager';
const VICTORIA_METRICS = 'github.com/VictoriaMetrics/VictoriaMetrics';
const COLLECTOR = 'go.opentelemetry.io/collector';
const CONTRIB = 'github.com/open-telemetry/opentelemetry-collector-contrib';

async function buildPrometheus(): Promise<void> {
  const missing = (['prometheus', 'promtool'] as const).filter(isMissing);
  if (missing.length === 0) return;
  const folder = newModule('prometheus');
  await go(folder, 'get', ...missing.map((name) => `${PROMETHEUS}/cmd/${name}@${VERSIONS.prometheus}`));
  const options = {
    linkerFlags: `-X github.com/prometheus/common/version.Version=${PROMETHEUS_VERSION}`,
    // Without the service discovery of clouds, and the AWS SDK and the like with it.
    tags: 'remove_all_sd',
  };
  for (const name of missing) await compile(folder, pathOfPeer(name), `${PROMETHEUS}/cmd/${name}`, options);
}

/** The module is built in a copy, because it lacks the web interface that its Go files embed. */
async function buildAlertmanager(): Promise<void> {
  const missing = (['alertmanager', 'amtool'] as const).filter(isMissing);
  if (missing.length === 0) return;
  const source = JSON.parse(
    await go(BUILD_FOLDER, 'mod', 'download', '-json', `${ALERTMANAGER}@${VERSIONS.alertmanager}`),
  ).Dir;
  const folder = join(BUILD_FOLDER, 'alertmanager');
  cpSync(source, folder, { recursive: true });
  spawnSync('chmod', ['-R', 'u+w', folder]);
  for (const part of ['elm', 'mantine']) {
    const dist = join(folder, 'ui/app/dist', part);
    mkdirSync(dist, { recursive: true });
    writeFileSync(join(dist, 'index.html'), '');
  }
  for (const name of missing) await compile(folder, pathOfPeer(name), `./cmd/${name}`);
}

async function buildVictoriaMetrics(): Promise<void> {
  const missing = (['victoria-metrics', 'vmalert'] as const).filter(isMissing);
  if (missing.length === 0) return;
  const folder = newModule('victoria-metrics');
  const names = missing.map((name) => `${VICTORIA_METRICS}/app/${name}`);
  await go(folder, 'get', ...names.map((name) => `${name}@${VERSIONS.victoriaMetrics}`));
  for (const name of missing) await compile(folder, pathOfPeer(name), `${VICTORIA_METRICS}/app/${name}`);
}

/** The collector's own builder writes its source, from a list of components. */
async function buildCollector(): Promise<void> {
  if (!isMissing('otelcol')) return;
  const tool = `${COLLECTOR}/cmd/builder`;
  const toolFolder = newModule('collector-builder');
  await go(toolFolder, 'get', `${tool}@${VERSIONS.collector}`);
  const builder = join(BUILD_FOLDER, 'builder');
  await compile(toolFolder, builder, tool);
  const folder = join(BUILD_FOLDER, 'collector');
  const config = join(BUILD_FOLDER, 'collector.yaml');
  // JSON is YAML.
  writeFileSync(config, JSON.stringify(collectorParts(folder)));
  const env = { ...process.env, GOFLAGS: `-buildvcs=false ${process.env.GOFLAGS ?? ''}` };
  await promisify(execFile)(builder, ['--config', config, '--skip-compilation'], { env, maxBuffer: 1 << 26 });
  await compile(folder, pathOfPeer('otelcol'), '.');
}

function collectorParts(outputFolder: string): unknown {
  const { collector, collectorStable } = VERSIONS;
  const core = (path: string) => ({ gomod: `${COLLECTOR}/${path} ${collector}` });
  const contrib = (path: string) => ({ gomod: `${CONTRIB}/${path} ${collector}` });
  const stable = (path: string) => ({ gomod: `${COLLECTOR}/${path} ${collectorStable}` });
  return {
    dist: { name: 'otelcol', output_path: outputFolder, version: collector.slice(1) },
    receivers: [core('receiver/otlpreceiver')],
    processors: [contrib('processor/deltatocumulativeprocessor')],
    exporters: [
      core('exporter/otlphttpexporter'),
      contrib('exporter/fileexporter'),
      contrib('exporter/prometheusexporter'),
      contrib('exporter/prometheusremotewriteexporter'),
    ],
    // The collector does not start without the last one.
    providers: [stable('confmap/provider/fileprovider'), stable('confmap/provider/envprovider')],
  };
}

await runBuild(async () => {
  if (!PEERS.some(isMissing)) return;
  mkdirSync(CACHE_FOLDER, { recursive: true });
  const newest = `${VICTORIA_METRICS}@${VERSIONS.victoriaMetrics}`;
  await download(newest, (source) => readFileSync(join(source, 'go.mod'), 'utf8').match(/^go .*$/m) ?? []);
  await buildPrometheus();
  await buildAlertmanager();
  await buildVictoriaMetrics();
  await buildCollector();
});
