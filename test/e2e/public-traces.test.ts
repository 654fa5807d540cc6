/**
 * Traces as people post them: in bug reports, on mailing lists, in blogs, through loggers and other programs. Each case
 * of test/fixtures/public has its right answer beside it, which was worked out from the text itself.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ReportData } from '../../src/expose/report/report.js';
import { runAgent } from '../support/agent/run-agent.js';
import { readFixture, readJson } from '../support/fixtures.js';
import { ROOT } from '../support/paths.js';

type Counts = Record<string, number>;

/** Every key is optional. */
interface Expectation {
  /** All exits of a layer by reason. */
  readonly kvm?: Counts;
  readonly qemu?: Counts;
  /** Accesses by address: of any layer, and of one. */
  readonly io?: Counts;
  readonly qemuio?: Counts;
  readonly kvmio?: Counts;
  /** Labels that occur. */
  readonly vcpus?: readonly string[];
  readonly vms?: readonly string[];
  /** Some of the events. */
  readonly tp?: Counts;
  readonly qemuEvents?: Counts;
  readonly lost?: number;
  /** 0: nothing may be called malformed. */
  readonly malformed?: number;
  /** What the message says if the file cannot be read. */
  readonly message?: string;
  readonly args?: readonly string[];
}

const FOLDER = join(ROOT, 'test/fixtures/public');

function sums<T extends { readonly count: number }>(rows: readonly T[], keyOf: (row: T) => string): Counts {
  const counts: Counts = {};
  for (const row of rows) counts[keyOf(row)] = (counts[keyOf(row)] ?? 0) + row.count;
  return counts;
}

/** The figures of a report in the words of an expectation. */
function figuresOf(report: ReportData): Required<Omit<Expectation, 'message' | 'args'>> {
  const exits = (layer: string) =>
    sums(
      report.exits.filter((row) => row.layer === layer),
      ({ reason }) => reason,
    );
  const io = (...layers: string[]) =>
    sums(
      report.io.filter((row) => layers.includes(row.layer)),
      ({ address }) => address,
    );
  return {
    kvm: exits('kvm'),
    qemu: exits('qemu'),
    io: io('kvm', 'qemu', 'unknown'),
    qemuio: io('qemu'),
    kvmio: io('kvm'),
    vcpus: [...new Set(report.exits.map(({ vcpu }) => vcpu))].sort(),
    vms: [...new Set(report.exits.map(({ vm }) => vm))].sort(),
    tp: report.tracepoints,
    qemuEvents: report.qemu_events,
    lost: report.lost.events,
    malformed: Object.values(report.malformed).reduce((sum, count) => sum + count, 0),
  };
}

/** True if the file has lines that are neither empty nor comments. */
function hasContent(file: string): boolean {
  return /^(?!#)./m.test(readFixture(`public/${file}`).toString('latin1'));
}

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))) {
  const json = file.replace(/\.txt$/, '.expected.json');
  const want: Expectation = existsSync(join(FOLDER, json)) ? readJson(`public/${json}`) : {};
  const isReadable = want.kvm ?? want.qemu ?? want.io ?? want.qemuEvents;

  test(`report of public/${file}`, () => {
    const { status, stdout, stderr } = runAgent('report', '--format', 'json', ...(want.args ?? []), join(FOLDER, file));
    if (status === 2) {
      assert.equal(isReadable, undefined, stderr);
      assert.match(stderr, /^kvm-exit-exporter: .{20}/);
      assert.doesNotMatch(stderr, /^\s+at /m);
      if (want.message !== undefined) assert.match(stderr, new RegExp(want.message, 'i'));
      return;
    }
    assert.equal(status, 0, stderr);
    assert.ok(want.message === undefined || isReadable !== undefined, 'read, where a message was expected');
    const report: ReportData = JSON.parse(stdout);
    const got = figuresOf(report);
    for (const key of ['kvm', 'qemu', 'io', 'qemuio', 'kvmio', 'lost', 'malformed'] as const)
      if (want[key] !== undefined) assert.deepEqual(got[key], want[key], key);
    for (const key of ['vcpus', 'vms'] as const)
      if (want[key] !== undefined) assert.deepEqual(got[key], [...want[key]].sort(), key);
    for (const key of ['tp', 'qemuEvents'] as const)
      for (const [name, count] of Object.entries(want[key] ?? {}))
        assert.equal(got[key][name], count, `${key} ${name}`);
    const isEmpty = [report.exits, Object.keys(report.tracepoints), Object.keys(report.qemu_events)].every(
      ({ length }) => length === 0,
    );
    assert.ok(!isEmpty || !hasContent(file), 'nothing could be decoded, and that is not an error');
  });
}
