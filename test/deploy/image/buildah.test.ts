/**
 * The image, built by buildah, which needs no daemon and, with isolation chroot, no namespaces. The base images are
 * made from programs of this machine, so nothing is downloaded. The result must equal the tree that image.test.ts
 * tests.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { addProgram, pathOf } from '../../support/guest/container.js';
import { configOf, DOCKERFILE } from '../../support/image/dockerfile.js';
import { filesOf, ImageBuild } from '../../support/image/image-build.js';
import { ROOT } from '../../support/paths.js';
import { needs } from '../../support/requirements.js';

const BUILDAH = { ...needs('buildah', 'root'), timeout: 600_000 };
const FOLDER = mkdtempSync(join(tmpdir(), 'buildah-'));
after(() => rmSync(FOLDER, { recursive: true }));

function buildah(...args: string[]): string {
  const storage = [`--root=${FOLDER}/storage`, `--runroot=${FOLDER}/run`, '--storage-driver=vfs'];
  const { status, stdout, stderr } = spawnSync('buildah', [...storage, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, BUILDAH_ISOLATION: 'chroot' },
  });
  assert.equal(status, 0, `buildah ${args.join(' ')}:\n${stdout}${stderr}`);
  return stdout.trim();
}

const POLICY = join(FOLDER, 'policy.json');

function build(dockerfile: string, context: string, tag: string, ...args: string[]): void {
  writeFileSync(POLICY, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
  const fixed = ['--format=docker', '--timestamp=0', '--no-cache', `--signature-policy=${POLICY}`];
  buildah('bud', ...fixed, `--file=${dockerfile}`, `--tag=localhost/${tag}`, ...args, context);
}

/** Makes an image with the content of a folder. */
function makeImage(folder: string, tag: string): void {
  const dockerfile = join(FOLDER, `${tag}.Dockerfile`);
  writeFileSync(
    dockerfile,
    'FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin:/usr/bin:/bin npm_config_offline=true npm_config_cache=/npm-cache\n',
  );
  build(dockerfile, folder, tag);
}

/** Makes a base image for the build stages, with what the Dockerfile needs: Node.js, npm, a shell, find. */
function makeBuildImage(): void {
  const folder = join(FOLDER, 'build');
  addProgram(folder, 'bin/sh', pathOf('sh'));
  for (const program of ['env', 'find']) addProgram(folder, `usr/bin/${program}`, pathOf(program));
  addProgram(folder, 'usr/local/bin/node', process.execPath);
  const npm = execFileSync('npm', ['root', '--global'], { encoding: 'utf8' }).trim();
  cpSync(join(npm, 'npm'), join(folder, 'usr/local/lib/node_modules/npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(folder, 'usr/local/bin/npm'));
  mkdirSync(join(folder, 'tmp'));
  makeImage(folder, 'build');
}

function makeRuntimeImage(): void {
  const folder = join(FOLDER, 'runtime');
  addProgram(folder, 'nodejs/bin/node', process.execPath);
  makeImage(folder, 'runtime');
}

/** The parts of `buildah inspect` that the test checks. */
interface InspectedConfig {
  readonly User: string;
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly StopSignal: string;
  readonly Env: readonly string[];
  readonly ExposedPorts: Readonly<Record<string, unknown>>;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

test('buildah builds the tested image, and the same layers when it builds twice', BUILDAH, () => {
  makeBuildImage();
  makeRuntimeImage();
  const args = [
    '--build-arg=BUILD=localhost/build',
    '--build-arg=RUNTIME=localhost/runtime',
    '--build-arg=REVISION=abc',
  ];
  const cache = `--volume=${join(homedir(), '.npm')}:/npm-cache:rw`;
  const layers = ['one', 'two'].map((tag) => {
    build(join(ROOT, 'Dockerfile'), ROOT, tag, ...args, cache);
    const inspected = JSON.parse(buildah('inspect', '--type=image', `localhost/${tag}`)).Docker;
    assertConfig(inspected.config);
    return inspected.rootfs.diff_ids;
  });
  assert.deepEqual(layers[0], layers[1]);

  const container = buildah('from', '--pull-never', `--signature-policy=${POLICY}`, 'localhost/one');
  const built = join(buildah('mount', container), 'app');
  const tested = join(new ImageBuild(FOLDER, DOCKERFILE, { ...process.env, npm_config_offline: 'true' }).tree, 'app');
  const files = filesOf(tested);
  assert.deepEqual(filesOf(built), files);
  for (const file of files) assert.deepEqual(readFileSync(join(built, file)), readFileSync(join(tested, file)), file);
});

function assertConfig(config: InspectedConfig): void {
  const expected = configOf(DOCKERFILE);
  assert.deepEqual(
    [
      config.User,
      config.Entrypoint,
      config.Cmd,
      config.StopSignal,
      config.Healthcheck.Test,
      Object.keys(config.ExposedPorts),
    ],
    [
      expected.user,
      expected.entrypoint,
      expected.command,
      expected.stopSignal,
      ['CMD', ...expected.healthcheck],
      expected.ports.map((port) => `${port}/tcp`),
    ],
  );
  assert.ok(config.Env.includes('NODE_ENV=production'));
  const {
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.revision': revision,
    'org.opencontainers.image.base.name': base,
  } = config.Labels;
  assert.deepEqual(
    [version, revision, base],
    [JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version, 'abc', 'localhost/runtime'],
  );
}
