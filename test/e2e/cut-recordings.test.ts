/** `report` says on stderr, before the report, that a recording is cut: one line, whatever the format. */
import assert from 'node:assert/strict';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture } from '../support/fixtures.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const TRACEFS = `--path.tracefs=${fixture('perf-data/tracefs')}`;
const ENDS_IN_THE_MIDDLE = /ends in the middle: it is cut or damaged, or still being written; /;
const NO_LINE_END = /its last line has no line end: it may be cut, or still being written$/;
/** The lines of the formats that know how much is missing. */
const TRACE_DAT = /ends early: [\d,]+ bytes of pages are missing$|its end is missing; what is there is counted$/;
const PERF_DATA = /is cut, or perf did not end properly; its last events are missing$/;

interface Case {
  readonly what: string;
  readonly whole: Buffer;
  /** Lengths of the cut files. */
  readonly lengths: (whole: Buffer) => readonly number[];
  /** One of them has to be said. */
  readonly says: readonly RegExp[];
  readonly args?: readonly string[];
}

/** Every seventh length that cuts a line in the middle of the text behind the line's first word. */
function insideLine(text: Buffer): number[] {
  const start = text.indexOf('\n', text.length / 2) + 1;
  const first = start + (/^\s*\S+\s/.exec(text.subarray(start).toString('latin1'))?.[0].length ?? 0);
  const end = text.indexOf('\n', start);
  return Array.from({ length: Math.ceil((end - first) / 7) }, (_, index) => first + 7 * index);
}

const half = ({ length }: Buffer) => [Math.floor(length / 2) + 1];
const text = (path: string) => readFixture(path).subarray(0, 100_000);
const upToLineEnd = (bytes: Buffer) => bytes.subarray(0, bytes.lastIndexOf('\n') + 1);
const TEXT = { lengths: insideLine, says: [ENDS_IN_THE_MIDDLE, NO_LINE_END] };
const simple = readFixture('qemu-simple/a5-dropped/trace-a5');

const CASES: readonly Case[] = [
  { what: 'text of ftrace', whole: upToLineEnd(text('ftrace-text/c5-lost/trace_pipe.txt')), ...TEXT },
  { what: 'text of perf script', whole: upToLineEnd(text('text-forms/perf.txt')), ...TEXT },
  { what: 'text of trace-cmd report', whole: upToLineEnd(text('text-forms/trace-cmd.txt')), ...TEXT },
  { what: 'a log of QEMU', whole: upToLineEnd(text('qemu-log/b2-timestamp/log.txt')), ...TEXT },
  {
    what: 'packed text',
    whole: gzipSync(upToLineEnd(text('ftrace-text/c5-lost/trace_pipe.txt'))),
    lengths: half,
    says: [ENDS_IN_THE_MIDDLE],
  },
  { what: 'a simple trace of QEMU', whole: simple, lengths: half, says: [ENDS_IN_THE_MIDDLE] },
  {
    what: 'a trace.dat of version 6',
    whole: readFixture('trace-dat/v6-6.12.dat'),
    lengths: ({ length }) => [length - 60_000, length - 4096],
    says: [TRACE_DAT],
  },
  {
    what: 'a trace.dat of version 7',
    whole: readFixture('trace-dat/v7-zstd-6.1.dat'),
    lengths: () => [26_900],
    says: [TRACE_DAT],
  },
  {
    what: 'a perf.data',
    whole: readFixture('perf-data/five-6.1.data'),
    lengths: () => [150_000, 150_001],
    says: [PERF_DATA],
    args: [TRACEFS],
  },
  {
    what: 'a perf.data from a pipe',
    whole: readFixture('perf-data/pipe-6.12.data'),
    lengths: ({ length }) => [length - 1001],
    says: [ENDS_IN_THE_MIDDLE],
  },
];

/** The lines of `report` on stderr, without the one about text that names threads only. */
function warningsOf(path: string, args: readonly string[] = []): string[] {
  const { status, stderr } = runAgent('report', '--format=json', ...args, path);
  assert.equal(status, 0, stderr);
  const lines = stderr.split('\n').slice(0, -1);
  return lines.filter((line) => !line.includes(': does not name processes, '));
}

function assertSaid(path: string, says: readonly RegExp[], args: readonly string[] | undefined, what: string): void {
  const warnings = warningsOf(path, args);
  assert.equal(warnings.length, 1, `${what}: ${warnings.join('\n')}`);
  const [warning = ''] = warnings;
  assert.ok(warning.startsWith(`kvm-exit-exporter: ${path}: `), warning);
  assert.ok(
    says.some((pattern) => pattern.test(warning)),
    `${what}: ${warning}`,
  );
}

for (const { what, whole, lengths, says, args } of CASES)
  test(`a cut is said at once: ${what}`, (t: TestContext) => {
    const path = join(temporaryFolder(t, 'cut'), 'recording');
    writeFileSync(path, whole);
    assert.deepEqual(warningsOf(path, args), [], 'the whole file');
    for (const length of lengths(whole)) {
      writeFileSync(path, whole.subarray(0, length));
      assertSaid(path, says, args, `${length} bytes`);
    }
  });

test('a cut is said at once: pages, wherever the last one ends', (t) => {
  const folder = join(temporaryFolder(t, 'cut'), 'd1');
  cpSync(fixture('ftrace-raw/d1-drained-after'), folder, { recursive: true });
  rmSync(join(folder, 'cpu1.raw.gz'));
  const pages = readFixture('ftrace-raw/d1-drained-after/cpu1.raw');
  writeFileSync(join(folder, 'cpu1.raw'), pages);
  assert.deepEqual(warningsOf(folder), [], 'the whole recording');
  for (const length of [4096 * 60 + 7, 4096 * 60 + 2000, pages.length - 1]) {
    writeFileSync(join(folder, 'cpu1.raw'), pages.subarray(0, length));
    assertSaid(folder, [ENDS_IN_THE_MIDDLE], [], `${length} bytes`);
  }
});

test('an event without the end of its text is truncated if the line has no end, and else malformed', (t) => {
  const path = join(temporaryFolder(t, 'cut'), 'recording');
  const line = ' CPU 0/KVM-7550 (7544) [000] ..... 2575.767: kvm_userspace_exit: reason KVM_EXIT_IO (2)\n';
  for (const [end, malformed] of [
    [line.slice(0, -8), { truncated: 1 }],
    [`${line.slice(0, -8)}\n`, { arguments: 1 }],
  ] as const) {
    writeFileSync(path, line + end);
    const { stdout } = runAgent('report', '--format=json', path);
    assert.deepEqual(JSON.parse(stdout).malformed, malformed);
  }
});

test('a trace.dat that is cut before its first event is an error', (t) => {
  // `trace-cmd` wrote the pages of this file behind byte 514,170, as its section headers show.
  const path = join(temporaryFolder(t, 'cut'), 'cut.dat');
  for (const length of [300_000, 500_000, 514_100]) {
    writeFileSync(path, readFixture('arm64/two-vms-6.1/trace.dat').subarray(0, length));
    const { status, stdout, stderr } = runAgent('report', path);
    assert.deepEqual({ status, stdout }, { status: 2, stdout: '' }, String(length));
    assert.match(stderr, /cut\.dat: ends before its first event: it is cut; copy or record it again$/m);
    assert.doesNotMatch(stderr, /^ +at /m);
  }
});
