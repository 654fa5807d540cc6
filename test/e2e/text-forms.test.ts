/**
 * One recording in each form in which trace-cmd, perf and the kernel print it: the counts are those of its raw records.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ReportData } from '../../src/expose/report/report.js';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture, readJson } from '../support/fixtures.js';
import { temporaryFolder } from '../support/temporary-folder.js';

type Counts = Record<string, number>;

interface Expectation {
  readonly kvm: Counts;
  readonly qemu: Counts;
  readonly lost?: number;
}

/** These show `errno`, so they distinguish interrupted calls of KVM_RUN from other failed ones. */
const EXACT = /-R$|^option-/;
/** These do not name threads: stale reasons of failed calls stay, and the report says so. */
const WITHOUT_THREADS = ['perf-time', 'perf-event', 'perf-comm-time'];

function exitsOf({ exits }: ReportData, layer: string): Counts {
  const counts: Counts = {};
  for (const row of exits.filter((exit) => exit.layer === layer))
    counts[row.reason] = (counts[row.reason] ?? 0) + row.count;
  return counts;
}

/** Interrupted and failed calls in one figure: text does not tell one from the other. */
function withFailedCalls({ restart = 0, error = 0, ...exits }: Counts, stale: readonly string[] = []): Counts {
  let failed = restart + error;
  for (const reason of stale) {
    failed += exits[reason] ?? 0;
    delete exits[reason];
  }
  return { ...exits, failed };
}

for (const [name, want] of Object.entries(readJson<Record<string, Expectation>>('text-forms/expected.json'))) {
  test(`report counts text-forms/${name}.txt as its raw records do`, () => {
    const got = reportOf(fixture(`text-forms/${name}.txt`));
    assert.deepEqual(exitsOf(got, 'kvm'), want.kvm);
    const qemu = exitsOf(got, 'qemu');
    if (EXACT.test(name)) assert.deepEqual(qemu, want.qemu);
    else {
      const stale = WITHOUT_THREADS.includes(name) ? ['KVM_EXIT_UNKNOWN'] : [];
      assert.deepEqual(withFailedCalls(qemu, stale), withFailedCalls(want.qemu));
    }
    assert.deepEqual(got.malformed, {});
    assert.equal(got.lost.events, want.lost ?? 0);
  });
}

for (const [name, message] of [
  ['option-hex', /option-hex\.txt: recorded with the trace option raw or hex, .*nohex > trace_options/],
  ['option-bin', /option-bin\.txt: recorded with the trace option bin, .*nobin > trace_options/],
] as const)
  test(`report says what to do about text-forms/${name}.txt`, () => {
    const { status, stdout, stderr } = runAgent('report', fixture(`text-forms/${name}.txt`));
    assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
    assert.match(stderr, message);
  });

/** The text as `perf script --deltatime` or `--reltime` prints it. */
function withTimes(text: string, timeOf: (seconds: number, first: number, before: number) => number): string {
  let [first, before] = [Number.NaN, Number.NaN];
  return text.replaceAll(/ +(\d+\.\d{6}): /g, (_, digits) => {
    const seconds = Number(digits);
    if (Number.isNaN(first)) first = before = seconds;
    const time = timeOf(seconds, first, before);
    before = seconds;
    return `     ${time.toFixed(6)}: `;
  });
}

test('report refuses times since the event before (--deltatime), and reads those since the first one (--reltime)', (t) => {
  const folder = temporaryFolder(t, 'times');
  const text = readFixture('text-forms/perf.txt').toString('latin1');
  const delta = join(folder, 'delta.txt');
  writeFileSync(
    delta,
    withTimes(text, (seconds, _, before) => seconds - before),
  );
  const { status, stdout, stderr } = runAgent('report', delta);
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /delta\.txt: its times are those since the event before, .*print it without --deltatime\n$/);
  const relative = join(folder, 'relative.txt');
  writeFileSync(
    relative,
    withTimes(text, (seconds, first) => seconds - first),
  );
  const [got, want] = [reportOf(relative), reportOf(fixture('text-forms/perf.txt'))];
  assert.deepEqual(got.exits, want.exits);
  assert.deepEqual(
    got.durations.map(({ sum_seconds }) => sum_seconds.toFixed(6)),
    want.durations.map(({ sum_seconds }) => sum_seconds.toFixed(6)),
  );
});
