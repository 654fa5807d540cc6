/**
 * The executable of `npm run package`. Every command's own tests run against it with
 * EXPORTER_TEST_PROGRAM=build/package/kvm-exit-exporter-linux-x64.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { SourceMap, type SourceMapping } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { embeddedAssets } from '../../packaging/executable/embedded-assets.js';
import { runAgent } from '../support/agent/run-agent.js';
import { freshExecutable } from '../support/packages.js';
import { ROOT } from '../support/paths.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'executable-'));
after(() => rmSync(FOLDER, { recursive: true }));
const { path: EXECUTABLE, options: NEEDED } = await freshExecutable();

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return spawnSync(EXECUTABLE, args, { encoding: 'utf8', cwd: FOLDER, env: { PATH: '/nowhere', ...env } });
}

test('it prints the help and the version of the program', NEEDED, () => {
  assert.equal(run(['--help']).stdout, runAgent('--help').stdout);
  assert.match(run(['--version']).stdout, /^kvm-exit-exporter \d+\.\d+\.\d+\n$/);
});

test('it counts a recording as the program does', NEEDED, () => {
  const demo = join(ROOT, 'deploy/demo/recording');
  const args = ['report', '--path.procfs', join(demo, 'proc'), join(demo, 'trace_pipe.txt.gz')];
  const { status, stdout, stderr } = run(args);
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(stdout, runAgent(...args).stdout);
});

test('the demo reads its recording from memory, and has its name in the list of processes', NEEDED, async () => {
  const child = spawn(EXECUTABLE, ['demo', '--web.listen-address=127.0.0.1:0'], {
    cwd: FOLDER,
    env: { PATH: '/nowhere', TMPDIR: FOLDER },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  try {
    let log = '';
    for await (const text of child.stderr) {
      log += text;
      if (log.includes('replaying the recording')) break;
    }
    const url = /url=(http:\S+)\/metrics/.exec(log)?.[1];
    assert.match(await (await fetch(`${url}/metrics`)).text(), /^kvm_vm_info\{vm="legacy-db",/m);
    const page = await (await fetch(`${url}/vm?name=legacy-db`)).text();
    const assets = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = '']) => path);
    assert.equal(assets.length, 4);
    for (const path of ['/', '/runbooks/KvmFatalExit', '/advice', '/advice/hpet', ...assets])
      assert.equal((await fetch(`${url}${path}`)).status, 200, path);
    assert.equal(readFileSync(`/proc/${child.pid}/comm`, 'utf8'), 'kvm-exit-export\n');
    assert.match(readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'), /^kvm-exit-exporter demo --web\.listen-address=/);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  assert.deepEqual(readdirSync(FOLDER), []);
});

test('NODE_OPTIONS changes nothing', NEEDED, () => {
  const { status, stderr } = run(['--version'], { NODE_OPTIONS: '--no-such-option' });
  assert.deepEqual([status, stderr], [0, '']);
});

test('it prints the licences of every package in it, with their text, and of Node.js', NEEDED, () => {
  const text = run(['--licenses']).stdout;
  const lock: { packages: Record<string, { version: string; dev?: boolean }> } = JSON.parse(
    readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
  );
  const titles = [...text.matchAll(/^={80}\n(.*)\n={80}\n\n(.*)/gm)].map(([, title = '', first = '']) => ({
    title,
    first,
  }));
  const known = new Set(
    Object.entries(lock.packages).map(([path, { version }]) => `${path.split('node_modules/').at(-1)} ${version}`),
  );
  const packages = titles.filter(({ title }) => /\(.*\)$/.test(title));
  assert.ok(packages.length > 50);
  assert.deepEqual(
    packages.filter(({ title }) => !known.has(title.replace(/ \(.*/, ''))),
    [],
  );
  for (const { title, first } of titles) assert.notEqual(first, '', `${title} has no text`);
  for (const name of ['express', 'prom-client', 'yaml', '@opentelemetry/sdk-metrics', 'bcryptjs', 'marked'])
    assert.ok(
      packages.some(({ title }) => title.startsWith(`${name} `)),
      name,
    );
  assert.match(titles.at(-1)?.title ?? '', /^Node\.js 24\./);
});

test('its code has a source map, so that stack traces have the lines of the source', NEEDED, () => {
  const code = readFileSync(join(ROOT, 'build/package/parts/main.js'), 'utf8');
  const [, payload = ''] = /^\/\/# sourceMappingURL=data:application\/json;base64,(\S+)$/m.exec(code) ?? [];
  const map = new SourceMap(JSON.parse(Buffer.from(payload, 'base64').toString('utf8')));
  const lines = code.split('\n');
  for (const [name, path] of [
    ['parseCommandLine', 'src/config/parse-command-line.ts'],
    ['takeSnapshot', 'src/snapshot/take-snapshot.ts'],
    ['replayPaced', 'src/source/recording/replay-paced.ts'],
  ] as const) {
    const declaration = `function ${name}(`;
    const at = lines.findIndex((text) => text.includes(declaration));
    const column = (lines[at]?.indexOf(declaration) ?? 0) + 'function '.length;
    const { originalSource, originalLine } = map.findEntry(at, column) as SourceMapping;
    assert.ok(originalSource.endsWith(path), originalSource);
    const source = readFileSync(join(ROOT, path), 'utf8').split('\n');
    assert.ok(source[originalLine]?.includes(declaration), `${path}:${originalLine + 1}`);
  }
});

test('it holds every file that the image has beside the program', NEEDED, () => {
  const copied = [...readFileSync(join(ROOT, 'Dockerfile'), 'utf8').matchAll(/^COPY (\S+) \/app\/\1$/gm)].map(
    ([, path = '']) => path,
  );
  assert.ok(copied.length >= 3);
  const paths = [...embeddedAssets().keys()];
  for (const path of copied)
    assert.ok(
      paths.some((each) => each.startsWith(path)),
      path,
    );
});
