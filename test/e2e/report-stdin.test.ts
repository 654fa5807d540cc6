/** `report -`: a recording on standard input, which ends by itself or by a signal. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { ReportData } from '../../src/expose/report/report.js';
import { reportOf } from '../support/agent/run-agent.js';
import { fixture, readFixture } from '../support/fixtures.js';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';
import { TraceText } from '../support/trace/trace-text.js';

function run(input: Uint8Array, ...args: string[]) {
  const options = { input, maxBuffer: 1 << 28, timeout: 300_000 };
  const { status, stdout, stderr } = spawnSync(PROGRAM, [...PROGRAM_ARGS, 'report', ...args], options);
  return { status, stdout: String(stdout), stderr: String(stderr) };
}

function reportOfInput(input: Uint8Array, ...args: string[]): ReportData {
  const { status, stdout, stderr } = run(input, '--format=json', ...args, '-');
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

for (const path of [
  'svm/two-vms-6.12/trace_pipe.txt',
  'qemu-simple/a2-exact-2vcpu/trace-a2',
  'perf/perf-script.txt',
  'zstd/text.level-19.zst',
  'perf-data/pipe-6.12.data',
])
  test(`report - counts ${path} as report of the file does`, () => {
    assert.deepEqual(reportOfInput(readFixture(path)), reportOf(fixture(path)));
  });

test('report - unpacks gzip, and reads a file that a shell opened', () => {
  const text = readFixture('svm/two-vms-6.12/trace_pipe.txt');
  const want = reportOf(fixture('svm/two-vms-6.12/trace_pipe.txt'));
  assert.deepEqual(reportOfInput(gzipSync(text)), want);
  const script = `exec "$@" report --format=json - < "$0"`;
  const { stdout } = spawnSync(
    'sh',
    ['-c', script, fixture('svm/two-vms-6.12/trace_pipe.txt'), PROGRAM, ...PROGRAM_ARGS],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    },
  );
  assert.deepEqual(JSON.parse(stdout), want);
});

test('report - shows the VM of a log without process ids as unknown', () => {
  const { exits } = reportOfInput(readFixture('qemu-log/b1-plain/log.txt'));
  assert.deepEqual([...new Set(exits.map(({ vm }) => vm))], ['']);
});

test('report - takes a part of the input, and other recordings beside it', () => {
  const text = (from: number) => new TraceText().handled({ pid: 1000 }, from * 1e6, `at_${from}`, 1000);
  const input = Buffer.from(`${text(10)}${text(11)}${text(12)}`);
  const reasons = ({ exits }: ReportData) => exits.map(({ reason }) => reason);
  assert.deepEqual(reasons(reportOfInput(input, '--since=0.5', '--until=1.5')), ['at_11']);
  const log = fixture('qemu-log/b2-timestamp/log.txt');
  assert.equal(reportOfInput(input, log).exits.length, 3 + reportOf(log).exits.length);
  const { status, stderr } = run(input, '--since=1', '-', log);
  assert.equal(status, 2);
  assert.match(stderr, /which standard input does not tell in advance; give times of the trace/);
});

for (const [name, input, message] of [
  ['nothing', Buffer.alloc(0), /standard input: is empty\n$/],
  ['an empty gzip file', gzipSync(''), /standard input: holds nothing that can be unpacked\n$/],
  ['zeros', Buffer.alloc(100_000), /standard input: unknown format; expected/],
  ['an xz file', Buffer.from('\xfd7zXZ\0..........', 'latin1'), /standard input: packed with xz/],
  [
    'a trace.dat',
    readFixture('trace-dat/v7-zstd-6.1.dat'),
    /standard input: trace\.dat of trace-cmd is not read from its start to its end; save it to a file first\n$/,
  ],
  [
    'a perf.data that is not of the pipe form',
    readFixture('perf-data/five-6.1.data'),
    /standard input: a perf\.data that was written to a file .*save it to a file/,
  ],
] as const)
  test(`report - refuses ${name}`, () => {
    const { status, stdout, stderr } = run(input, '-');
    assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
    assert.match(stderr, message);
  });

/** Waits until a process sleeps and has used no CPU for half a second. One that waits for a CPU does not sleep. */
async function untilIdle(pid: number | undefined): Promise<void> {
  const look = () => {
    // proc(5): state is the third field, utime the 14th, stime the 15th.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return fields[0] === 'S' ? `${fields[11]} ${fields[12]}` : 'busy';
  };
  for (let [before, now] = ['', look()]; before !== now || now === 'busy'; [before, now] = [now, look()])
    await sleep(500);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test(`report - prints what it has at ${signal}, while the input goes on`, async () => {
    const report = spawn(PROGRAM, [...PROGRAM_ARGS, 'report', '--format=json', '-'], { stdio: 'pipe' });
    let [stdout, stderr] = ['', ''];
    report.stdout.on('data', (text) => {
      stdout += text;
    });
    report.stderr.on('data', (text) => {
      stderr += text;
    });
    const ended = once(report, 'close');
    // More than what is held to recognise the format, so that a part of it is counted before the signal.
    const text = readFixture('svm/two-vms-6.12/trace_pipe.txt');
    assert.ok(text.length > 1 << 20);
    await new Promise((resolve) => report.stdin.write(text, resolve));
    await untilIdle(report.pid);
    assert.equal(report.exitCode, null);
    report.kill(signal);
    report.stdin.on('error', () => {});
    const [status] = await ended;
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), reportOf(fixture('svm/two-vms-6.12/trace_pipe.txt')));
  });
