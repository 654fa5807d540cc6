/**
 * The container image, tested without a container engine: the build context that .dockerignore leaves, the stages of
 * the Dockerfile run line by line, and the resulting tree, started read-only and without rights.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endAll, endLater } from '../../support/end-later.js';
import { freePort } from '../../support/free-port.js';
import { addRuntime, type ContainerOptions, runInContainer, startContainer } from '../../support/guest/container.js';
import { configOf, DOCKERFILE, stagesOf } from '../../support/image/dockerfile.js';
import { contextFiles, filesOf, ImageBuild, isIgnored } from '../../support/image/image-build.js';
import { ROOT } from '../../support/paths.js';
import { parseMetrics } from '../../support/prometheus/metrics-text.js';
import { startReceiver } from '../../support/prometheus/otlp-receiver.js';
import { allOf, needs, skipUnless } from '../../support/requirements.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'image-'));
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const CONFIG = configOf(DOCKERFILE);

/** Builds with npm's cache only, which `npm ci` fills. Undefined if a package is not in the cache. */
function build(): ImageBuild | undefined {
  try {
    return new ImageBuild(FOLDER, DOCKERFILE, { ...process.env, npm_config_offline: 'true' });
  } catch (error) {
    if (error instanceof Error && /ENOTCACHED/.test(error.message)) return undefined;
    throw error;
  }
}

const BUILT = build();
const TREE = skipUnless('npm-cache', BUILT !== undefined);
const CONTAINED = allOf(TREE, needs('root', 'setpriv', 'unshare'));

function tree(): string {
  assert.ok(BUILT !== undefined);
  return BUILT.tree;
}

test('the build context contains exactly what the Dockerfile copies', () => {
  const copied = stagesOf(DOCKERFILE)
    .flatMap(({ instructions }) => instructions)
    .filter(({ keyword, flags }) => keyword === 'COPY' && !flags.has('from'))
    .flatMap(({ words }) => words.slice(0, -1));
  const files = contextFiles();
  const isIn = (file: string, source: string) => file === source || file.startsWith(`${source}/`);
  assert.deepEqual(
    files.filter((file) => !copied.some((source) => isIn(file, source))),
    [],
  );
  assert.deepEqual(
    copied.filter((source) => !files.some((file) => isIn(file, source))),
    [],
  );
  assert.ok(files.includes('src/main.ts') && files.includes('deploy/demo/recording/trace_pipe.txt.gz'));
});

test('secrets, tests and leftovers of builds are not in the build context', () => {
  const secrets = ['.env', '.npmrc', 'web.yml', 'server.key', 'src/.env', 'src/web/server.key', 'src/web/ca.pem'];
  const leftovers = ['src/main.js', 'src/main.js.map', 'src/web/.app.ts.swp', 'build/src/main.js', 'src/debug.log'];
  const unneeded = ['node_modules/express/index.js', 'test/main.ts', '.git/config', 'deploy/kubernetes/secret.yaml'];
  assert.deepEqual(
    [...secrets, ...leftovers, ...unneeded].filter((path) => !isIgnored(path)),
    [],
  );
});

test('exceptions in .dockerignore have no wildcards, because some builders skip the folders of these', () => {
  const exceptions = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'));
  assert.deepEqual(
    exceptions.filter((line) => /[*?[]/.test(line)),
    [],
  );
});

test('the image contains the program, its packages, the demo, the pages that it serves and licences', TREE, () => {
  assert.deepEqual(readdirSync(tree()), ['app']);
  const app = join(tree(), 'app');
  assert.deepEqual(readdirSync(app).sort(), ['LICENSE', 'build', 'deploy', 'docs', 'node_modules', 'package.json']);
  assert.deepEqual(readdirSync(join(app, 'docs')), ['advice']);
  assert.deepEqual(readdirSync(join(app, 'deploy')).sort(), ['demo', 'runbooks']);
  const files = filesOf(app);
  assert.deepEqual(
    files.filter((file) => /\.(map|tsx?|tsbuildinfo|node)$|\/\.(env|npmrc)/.test(file)),
    [],
  );
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  const packages = Object.entries(lock.packages).filter(([path]) => path !== '');
  for (const [path, { dev = false }] of packages) assert.equal(existsSync(join(app, path, 'package.json')), !dev, path);
});

test('the program in the image equals the compiled one', TREE, () => {
  const compiled = join(import.meta.dirname, '../../../src');
  const files = filesOf(join(tree(), 'app/build/src'));
  const sources = contextFiles().filter((file) => file.startsWith('src/'));
  assert.deepEqual(files, sources.map((file) => file.slice('src/'.length).replace(/\.ts$/, '.js')).sort());
  const code = (file: string) =>
    readFileSync(file, 'utf8')
      .replace(/^\/\/# sourceMappingURL=.*$/m, '')
      .trimEnd();
  for (const file of files) assert.equal(code(join(tree(), 'app/build/src', file)), code(join(compiled, file)), file);
});

test('the files of the image are smaller than 20 MB in all', TREE, () => {
  const bytes = filesOf(tree()).reduce((sum, file) => sum + lstatSync(join(tree(), file)).size, 0);
  assert.ok(bytes < 20e6, `${bytes}`);
});

test('labels, port, user and entrypoint describe the image', () => {
  const { labels, ports, user, entrypoint } = CONFIG;
  const label = (name: string) => labels[`org.opencontainers.image.${name}`];
  assert.equal(label('version'), PACKAGE.version);
  assert.equal(label('licenses'), PACKAGE.license);
  assert.equal(label('description'), PACKAGE.description);
  assert.equal(label('created'), new Date(0).toISOString().replace('.000', ''));
  assert.match(label('base.name') ?? '', /^gcr\.io\/distroless\/nodejs24-debian13:/);
  assert.deepEqual([ports, user], [['10586'], '0:0']);
  assert.equal(entrypoint.at(-1), '/app/build/src/main.js');
});

/** Hash over names, modes, sizes and times of all files in a folder. */
function fingerprint(folder: string): string {
  const hash = createHash('sha256');
  for (const file of filesOf(folder)) {
    const { mode, size, mtimeMs } = lstatSync(join(folder, file));
    hash.update(`${file} ${mode} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

const TRACEFS = '/sys/kernel/tracing';
let rootFolder: string | undefined;

/** A root folder with the files of the image and of its base image. */
function root(): string {
  if (rootFolder === undefined) {
    rootFolder = join(FOLDER, 'root');
    cpSync(tree(), rootFolder, { recursive: true });
    addRuntime(rootFolder, [TRACEFS]);
    chmodSync(rootFolder, 0o755);
  }
  return rootFolder;
}

/** Starts the image with `args`, on a port of this host. */
async function start(args: readonly string[], more: Partial<ContainerOptions> = {}) {
  const before = fingerprint(root());
  const address = `127.0.0.1:${await freePort()}`;
  const options = { environment: { ...CONFIG.environment, KVM_EXIT_EXPORTER_WEB_LISTEN_ADDRESS: address }, ...more };
  const child = startContainer(root(), [...CONFIG.entrypoint, ...args], options);
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (text) => {
      log += text;
    });
  const ended = once(child, 'close');
  endLater(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const deadline = Date.now() + 120_000;
  while (!log.includes('msg=serving')) {
    assert.ok(child.exitCode === null && Date.now() < deadline, log);
    await sleep(50);
  }
  return {
    child,
    url: `http://${address}`,
    log: () => log,
    isHealthy: () => runInContainer(child, CONFIG.healthcheck, options),
    async stop() {
      child.kill(CONFIG.stopSignal as NodeJS.Signals);
      await ended;
      assert.deepEqual([child.exitCode, child.signalCode], [0, null], log);
      assert.equal(fingerprint(root()), before, 'the program has written to its image');
    },
  };
}

test('the demo runs from the image, read-only and without rights, and exits with 0', CONTAINED, async () => {
  // OTLP makes the program load the packages that only OTLP needs.
  const receiver = await startReceiver();
  const otlp = [`--otlp.endpoint=http://127.0.0.1:${receiver.port}`, '--otlp.interval=1s'];
  const { child, url, log, isHealthy, stop } = await start(['demo', ...otlp]);
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  assert.match(status, /^Uid:\t0\t0\t0\t0$/m);
  for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) assert.match(status, new RegExp(`^Cap${set}:\\t0{16}$`, 'm'));
  const families = parseMetrics(await (await fetch(`${url}/metrics`)).text());
  assert.deepEqual(
    new Set(families.get('kvm_vm_info')?.samples.map(({ labels }) => labels.get('vm'))),
    new Set(['web-1', 'legacy-db']),
  );
  assert.deepEqual(isHealthy(), { status: 0, output: '' });
  await receiver.atLeast(1);
  assert.doesNotMatch(log(), /EROFS|EACCES|ENOENT|level=error/);
  await stop();
});

test('the demo runs as an unprivileged user, as compose.yaml starts it', CONTAINED, async () => {
  const { child, url, isHealthy, stop } = await start(['demo'], { uid: 65534 });
  assert.match(readFileSync(`/proc/${child.pid}/status`, 'utf8'), /^Uid:\t65534\t65534\t65534\t65534$/m);
  assert.equal((await fetch(`${url}/metrics`)).status, 200);
  assert.deepEqual(isHealthy(), { status: 0, output: '' });
  await stop();
});

test('the health check of the image fails if the agent is stuck', CONTAINED, async () => {
  const { child, isHealthy } = await start(['demo']);
  child.kill('SIGSTOP');
  const { status, output } = isHealthy();
  assert.equal(status, 1);
  assert.match(output, /^not healthy: no answer within \d+ ms\n$/);
});

const LIVE = allOf(CONTAINED, needs('tracefs', 'kvm-events'));

test(
  "the agent in the image reads this host's trace with only tracefs mounted, and removes its instance",
  LIVE,
  async () => {
    const name = `kvm-exit-exporter-image-${process.pid}`;
    const { url, stop } = await start([...CONFIG.command, `--tracefs.instance=${name}`], { mounts: [TRACEFS] });
    assert.ok(readdirSync(`${TRACEFS}/instances`).includes(name));
    assert.equal((await fetch(`${url}/-/ready`)).status, 200);
    const families = parseMetrics(await (await fetch(`${url}/metrics`)).text());
    assert.deepEqual(
      families.get('kvm_exit_exporter_source_up')?.samples.map(({ labels, value }) => [labels.get('source'), value]),
      [['tracefs', 1]],
    );
    await stop();
    assert.ok(!readdirSync(`${TRACEFS}/instances`).includes(name));
  },
);

test('without tracefs the image says what is missing, and exits with 2', CONTAINED, async () => {
  const child = startContainer(root(), [...CONFIG.entrypoint, ...CONFIG.command], { environment: CONFIG.environment });
  let log = '';
  child.stderr?.on('data', (text) => {
    log += text;
  });
  await once(child, 'close');
  assert.equal(child.exitCode, 2, log);
  assert.match(log, /^kvm-exit-exporter: tracefs is not mounted and cannot be: /m);
});

test('the image works in any folder', TREE, () => {
  const { status, stdout } = spawnSync(process.execPath, [join(tree(), 'app/build/src/main.js'), '--version'], {
    cwd: '/',
    env: {},
    encoding: 'utf8',
  });
  assert.deepEqual([status, stdout], [0, `kvm-exit-exporter ${PACKAGE.version}\n`]);
});
