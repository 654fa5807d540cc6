/**
 * The executable of `npm run package`. Every command's own tests run against it with
 * EXPORTER_TEST_PROGRAM=build/package/kvm-exit-exporter-linux-x64.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { embeddedAssets } from '../../packaging/executable/embedded-assets.js';
import { CODE_PATH, withSourceLines } from '../../packaging/executable/source-lines.js';
import { runAgent } from '../support/agent/run-agent.js';
import { freshExecutable } from '../support/packages.js';
import { ROOT } from '../support/paths.js';

const PARTS = join(ROOT, 'build/package/parts');
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

test('its stack traces have the lines of the source', NEEDED, () => {
  const lines = readFileSync(join(PARTS, 'main.js'), 'utf8').split('\n');
  const readMap = () => readFileSync(join(PARTS, 'main.js.map'), 'utf8');
  for (const [name, path] of [
    ['parseCommandLine', 'src/config/parse-command-line.ts'],
    ['takeSnapshot', 'src/snapshot/take-snapshot.ts'],
    ['replayPaced', 'src/source/recording/replay-paced.ts'],
  ] as const) {
    const declaration = `function ${name}(`;
    const at = lines.findIndex((text) => text.includes(declaration));
    const column = (lines[at]?.indexOf(declaration) ?? 0) + 'function '.length;
    const trace = `Error: a bug\n    at ${name} (${CODE_PATH}:${at + 1}:${column + 1})`;
    const [, shown = '', line = ''] = /at \w+ \((\S+):(\d+):\d+\)$/.exec(withSourceLines(trace, readMap)) ?? [];
    assert.equal(shown, `/kvm-exit-exporter/${path}`);
    const source = readFileSync(join(ROOT, path), 'utf8').split('\n');
    assert.ok(source[Number(line) - 1]?.includes(declaration), `${path}:${line}`);
  }
});

test('a bug is printed with the lines of the source', NEEDED, () => {
  const broken = join(FOLDER, 'broken');
  const bytes = readFileSync(EXECUTABLE);
  const statement = 'setLog({level:get("log.level"),format:get("log.format")})';
  const at = bytes.indexOf(statement, bytes.indexOf('async function main(argv)'));
  assert.ok(at > 0);
  bytes.write('null.bug'.padEnd(statement.length), at, 'latin1');
  writeFileSync(broken, bytes, { mode: 0o755 });
  const { status, stderr } = spawnSync(broken, ['--version'], { encoding: 'utf8' });
  rmSync(broken);
  const source = readFileSync(join(ROOT, 'src/cli.ts'), 'utf8').split('\n');
  const line = source.findIndex((text) => text.includes("setLog({ level: get('log.level')")) + 1;
  assert.deepEqual(
    stderr
      .split('\n')
      .slice(0, 2)
      .map((text) => text.replace(/:\d+\)$/, ')')),
    [
      "kvm-exit-exporter: TypeError: Cannot read properties of null (reading 'bug')",
      `kvm-exit-exporter:     at main (/kvm-exit-exporter/src/cli.ts:${line})`,
    ],
  );
  assert.equal(status, 1);
});

test('an idle agent keeps at most 31 MB of memory of its own', NEEDED, async () => {
  const noProcesses = join(FOLDER, 'proc');
  mkdirSync(join(noProcesses, '1'), { recursive: true });
  const args = ['run', '--no-collector.kernel', `--path.procfs=${noProcesses}`, '--web.listen-address=127.0.0.1:0'];
  const child = spawn(EXECUTABLE, args, { cwd: FOLDER, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close');
  const ownMegabytes = () => {
    const [, kilobytes] = /^Anonymous: +(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8')) ?? [];
    return Number(kilobytes) / 1000;
  };
  try {
    await once(child.stderr, 'data');
    // What loading leaves behind is collected 5 s later, and V8 gives it back to the system some time after that.
    await sleep(10_000);
    for (let tries = 0; tries < 80 && ownMegabytes() > 31; tries++) await sleep(1000);
    assert.ok(ownMegabytes() <= 31, `${ownMegabytes()} MB`);
  } finally {
    child.kill('SIGKILL');
    await ended;
    rmSync(noProcesses, { recursive: true });
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
