/**
 * Hostile names in the output of every command. A name of a file, VM or event may contain characters that act on a
 * terminal; none of them may reach standard output or standard error as it is.
 */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { ask, WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { fixture } from '../support/fixtures.js';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'terminal-'));
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

/** ESC, CSI as one byte, BEL, carriage return, a line of its own, directions, an invisible letter, a line separator. */
const HOSTILE = '\x1b[2J\x9b31m\x07\r\nfake: ok\u202e\u2066\u200f\u061c\u200b\u{e0041}\u2028';
/** A spreadsheet would run it. */
const FORMULA = '=cmd|A1';

/** ECMA-48 controls (C0, DEL, C1), and the characters of Unicode's Bidi_Control, format and separator classes. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the test looks for these
const ACTS = /[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/u;

function assertClean(text: string, what: string): void {
  const found = ACTS.exec(text);
  assert.equal(found, null, `${what} prints U+${found?.[0].codePointAt(0)?.toString(16)}: ${JSON.stringify(text)}`);
  assert.doesNotMatch(text, /^fake: ok/m, `${what} prints a line that a name has made up`);
}

type Result = Pick<SpawnSyncReturns<string>, 'status' | 'stdout' | 'stderr'>;

function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Result {
  const env = { ...process.env, ...environment };
  return spawnSync(PROGRAM, [...PROGRAM_ARGS, ...args], { encoding: 'utf8', timeout: 300_000, env });
}

function file(name: string, text: string): string {
  const path = join(FOLDER, name);
  writeFileSync(path, text);
  return path;
}

/** A log of QEMU: its name is that of the VM, and an event has a name that QEMU has not. */
const LOG_LINES = `kvm_run_exit cpu_index 0, reason 2\nmade${HOSTILE.replaceAll('\n', '')}up x\n`;
const NAME = `vm${HOSTILE}`;
const LOG = file(`${NAME}.log`, LOG_LINES);
const FORMULA_LOG = file(`${FORMULA}.log`, LOG_LINES);

test('report in every format', () => {
  for (const format of ['table', 'json', 'csv', 'prometheus']) {
    const { status, stdout, stderr } = run(['report', `--format=${format}`, LOG, FORMULA_LOG]);
    assert.equal(status, 0, stderr);
    assertClean(stdout, format);
    assertClean(stderr, format);
  }
});

test('the JSON of a report keeps the name as it is', () => {
  const report = JSON.parse(run(['report', '--format=json', LOG]).stdout);
  assert.deepEqual(report.totals.map(({ vm }: { vm: string }) => vm).includes(NAME), true);
});

test('the CSV of a report marks what a spreadsheet would run as text, and no figure', () => {
  const { stdout } = run(['report', '--format=csv', FORMULA_LOG, LOG]);
  assert.match(stdout, new RegExp(`^exits,'${FORMULA.replace('|', '\\|')},`, 'm'));
  assert.doesNotMatch(stdout, /(?:^|,)"?[=+@-]/m);
  const diff = run(['report', '--diff', '--format=csv', LOG, LOG]).stdout;
  assert.doesNotMatch(diff, /'-?\d/);
});

test('report --diff in every format, also when it fails', () => {
  const more = file(`${NAME}-2.log`, LOG_LINES.repeat(3));
  for (const format of ['table', 'json', 'csv'])
    for (const pair of [
      [LOG, more],
      [LOG, FORMULA_LOG],
    ]) {
      const { stdout, stderr } = run(['report', '--diff', `--format=${format}`, '--fail-above=1%', ...pair]);
      assert.notEqual(stdout + stderr, '');
      assertClean(stdout, `--diff ${format}`);
      assertClean(stderr, `--diff ${format}`);
    }
});

const YAML = file('config.yml', `"a\\e[2Jb": 1\n"log.level": "x\\e[31m\\u202e"\n`);
const WEB = file('web.yml', `"tls\\e[2J": 1\nbasic_auth_users: {"u\\e[31m\\u2028": x}\n`);
const EVENTS = file('trace-events-all', `good(int a) "x"\nbad\x1b[2J\u202e(int a) "\x1b[31m"\n`);
const EMPTY = file(`empty${HOSTILE}`, '');

/** Commands that cannot run, and quote what they got. */
const REFUSED: readonly (readonly string[])[] = [
  [HOSTILE],
  [`--${HOSTILE}`],
  ['help', HOSTILE],
  ['report'],
  ['report', `/nowhere/${HOSTILE}`],
  ['report', EMPTY],
  ['report', `--format=${HOSTILE}`, LOG],
  ['report', `--vm=${HOSTILE}x`, LOG],
  ['report', `--since=${HOSTILE}`, LOG],
  ['report', `--path.procfs=/nowhere/${HOSTILE}`, LOG],
  ['report', `--qemu.trace-events=/nowhere/${HOSTILE}`, LOG],
  ['run', `--config.file=${YAML}`],
  ['run', `--config.file=/nowhere/${HOSTILE}`],
  ['run', `--web.config.file=${WEB}`],
  ['run', `--web.listen-address=${HOSTILE}:1`],
  ['run', `--log.level=${HOSTILE}`],
  ['run', `--otlp.endpoint=${HOSTILE}`],
  ['run', `--tracefs.instance=${HOSTILE}`],
  ['run', HOSTILE],
  ['demo', `--web.telemetry-path=${HOSTILE}`],
  ['record', `--output=${LOG}/${HOSTILE}`],
  ['record', `--for=${HOSTILE}`],
  ['events', `/nowhere/${HOSTILE}`],
  ['events', EMPTY],
  ['events', EVENTS, HOSTILE],
  ['events', `--pattern=${HOSTILE}`, EVENTS],
  ['qemu', HOSTILE],
  ['qemu', `--qmp=/nowhere/${HOSTILE}`, 'status'],
  ['check', HOSTILE],
  ['check', `--path.tracefs=/nowhere/${HOSTILE}`],
];
for (const args of REFUSED)
  test(`${JSON.stringify(args.map((arg) => arg.replace(FOLDER, '').replace(HOSTILE, '*')))} is refused cleanly`, () => {
    const { stdout, stderr } = run(args);
    assert.notEqual(stdout + stderr, '');
    assertClean(stdout, 'standard output');
    assertClean(stderr, 'standard error');
    assert.doesNotMatch(stderr, /^ {4}at /m);
  });

test('variables of the environment', () => {
  const { status, stderr } = run(['run'], { KVM_EXIT_EXPORTER_LOG_LEVEL: HOSTILE, OTEL_SERVICE_NAME: HOSTILE });
  assert.equal(status, 2, stderr);
  assertClean(stderr, 'standard error');
});

test('events prints names of events', () => {
  const { stdout, stderr } = run(['events', '--no-used', EVENTS]);
  assertClean(stdout + stderr, 'events');
});

test('check, with VMs of hostile names and threads', () => {
  const proc = join(FOLDER, 'proc');
  for (const path of ['self', '77/task/77']) mkdirSync(join(proc, path), { recursive: true });
  writeFileSync(join(proc, '77/cmdline'), `qemu-system-x86_64\0-name\0guest=${NAME}\0`);
  writeFileSync(join(proc, '77/comm'), 'qemu-system-x86\n');
  writeFileSync(join(proc, '77/task/77/comm'), `CPU 0/KVM\x1b[2J\n`);
  writeFileSync(join(proc, '77/stat'), '77 (qemu\x1b[2J) S 1 77 77 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 1000 0 0\n');
  writeFileSync(join(proc, '77/status'), 'Tgid:\t77\nUid:\t0 0 0 0\n');
  const { stdout, stderr } = run(['check', `--path.procfs=${proc}`]);
  assertClean(stdout + stderr, 'check');
});

for (const format of ['logfmt', 'json'])
  test(`the agent's log as ${format}, its metrics and its pages`, async () => {
    const args = ['--no-collector.kernel', `--qemu.log=${join(FOLDER, '*.log')}`, `--log.format=${format}`];
    const agent = await WebAgent.startCommand('run', [...args, '--log.level=debug']);
    for (const path of ['/metrics', '/', '/api/vms', '/docs', `/${encodeURIComponent(HOSTILE)}`]) {
      const answer = await ask(`${agent.url}${path}`, { headers: { accept: '*/*' } });
      assert.ok(typeof answer !== 'string');
      assertClean(answer.body.toString(), path);
    }
    assertClean(agent.log, 'the log');
  });

test('qemu, with a QEMU that answers hostile names and reasons', async () => {
  const path = join(FOLDER, 'qmp');
  const answers: Readonly<Record<string, string>> = {
    qmp_capabilities: '{"return": {}}',
    'trace-event-get-state': JSON.stringify({ return: [{ vcpu: false, name: `ev${HOSTILE}`, state: 'enabled' }] }),
    'trace-event-set-state': JSON.stringify({ error: { class: 'GenericError', desc: `no${HOSTILE}` } }),
  };
  const server = createServer((client) => {
    client.on('error', () => {});
    client.write('{"QMP": {"version": {}, "capabilities": []}}\r\n');
    client.on('data', (data) => {
      for (const line of data.toString().trim().split('\n'))
        client.write(`${answers[JSON.parse(line).execute] ?? '{"return": {}}'}\r\n`);
    });
  });
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  try {
    for (const verb of ['status', 'enable']) {
      const { stdout, stderr } = await runInBackground(['qemu', `--qmp=${path}`, verb, `ev${HOSTILE}`]);
      assert.notEqual(stdout + stderr, '');
      assertClean(stdout, `qemu ${verb}`);
      assertClean(stderr, `qemu ${verb}`);
    }
  } finally {
    server.close();
  }
});

/** Runs the program while servers of this process answer it. */
async function runInBackground(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const child = spawn(PROGRAM, [...PROGRAM_ARGS, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (text) => {
      texts[name] += text;
    });
  await new Promise((resolve) => child.once('close', resolve));
  return texts;
}

test('a trace of the kernel with hostile names of threads', () => {
  const path = file('threads.txt', ` CPU 0/KVM\x1b[2J-77 [000] d... 1.0: kvm_userspace_exit: reason KVM_EXIT_IO (2)\n`);
  for (const args of [[path], [fixture('exact/e6-internal-error/trace_pipe.txt')]]) {
    const { stdout, stderr } = run(['report', ...args]);
    assertClean(stdout + stderr, 'report');
  }
});
