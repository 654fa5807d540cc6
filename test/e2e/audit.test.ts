/** `report` on a recording with KVM's statistics, which were read from debugfs on the recorded host. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readJson } from '../support/fixtures.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const RECORDING = 'svm/two-vms-6.12';
type Values = Readonly<Record<string, number>>;

interface Expected {
  readonly statistics: Readonly<Record<string, Values>>;
}

const { statistics } = readJson<Expected>('audit/svm-6.12.json');
const CHECKS = 'exits io_exits halt_exits irq_exits irq_window_exits hypercalls mmio_exits'.split(' ');

/** Recordings, the statistics that were saved with them, and the checks of their architecture. */
const RECORDINGS: readonly (readonly [recording: string, statistics: string, checks: readonly string[]])[] = [
  [RECORDING, 'audit/svm-6.12.json', CHECKS],
  ['vmx/two-vms-6.1', 'audit/vmx-6.1.json', CHECKS],
  ['arm64/two-vms-6.1', 'audit/arm64-6.1.json', ['exits', 'hvc_exit_stat', 'wfx_exits', 'mmio_exit_user']],
];

function statisticOf(values: Values, check: string): number {
  const names = check === 'wfx_exits' ? ['wfi_exit_stat', 'wfe_exit_stat'] : [check];
  return names.reduce((sum, name) => sum + (values[name] ?? Number.NaN), 0);
}

/** A copy of the recording, in which one statistic of vm-a is different. */
function withStatistic(t: TestContext, name: string, change: (value: number) => number): string {
  const folder = join(temporaryFolder(t, 'audit'), 'recording');
  cpSync(fixture(RECORDING), folder, { recursive: true });
  const file = join(folder, 'debugfs-kvm/178-15', name);
  writeFileSync(file, `${change(Number(readFileSync(file, 'utf8')))}\n`);
  return folder;
}

for (const [recording, file, checks] of RECORDINGS)
  test(`${recording}: every check of both VMs has the figure of KVM, twice`, () => {
    const { statistics } = readJson<Expected>(file);
    const { audit } = reportOf(fixture(recording));
    const figures = (rows: readonly [vm: string, check: string, kvm: number][]) =>
      rows.map((row) => row.join(' ')).sort();
    assert.deepEqual(
      figures(audit.map(({ vm, check, kvm }) => [vm, check, kvm])),
      figures(
        Object.entries(statistics).flatMap(([vm, values]) =>
          checks.map((check) => [vm, check, statisticOf(values, check)]),
        ),
      ),
    );
    for (const { check, kvm, kvm_at_least, counted, ratio, not_comparable } of audit) {
      assert.deepEqual([counted, kvm_at_least, not_comparable], [kvm, kvm, null], check);
      assert.equal(ratio, kvm === 0 ? null : 1);
    }
  });

test('the table has the checks in which something happened', () => {
  const { stdout } = runAgent('report', fixture(RECORDING));
  assert.match(stdout, /^Checked against KVM's own statistics\n\nVM +check +counted +KVM counted +ratio\n/m);
  assert.match(stdout, /^vm-a +exits +4,171 +4,171 +1\.000$/m);
  assert.doesNotMatch(stdout, /hypercalls/);
});

test('the CSV has every check', () => {
  const [heading = '', ...rows] = runAgent('report', '--format=csv', fixture(RECORDING)).stdout.split('\n');
  const column = heading.split(',').indexOf('counted');
  const audit = rows.map((row) => row.split(',')).filter(([section]) => section === 'audit');
  assert.equal(audit.length, 2 * CHECKS.length);
  assert.equal(audit[0]?.[column], String(statistics['vm-a']?.exits));
});

test('--vm limits the checks, and a part of a recording has none', () => {
  const vms = reportOf('--vm=vm-b', fixture(RECORDING)).audit.map(({ vm }) => vm);
  assert.deepEqual(new Set(vms), new Set(['vm-b']));
  assert.deepEqual(reportOf('--until=1ms', fixture(RECORDING)).audit, []);
});

test('a difference is shown first', (t) => {
  const folder = withStatistic(t, 'mmio_exits', (value) => value * 2);
  const { stdout } = runAgent('report', folder);
  assert.match(stdout, /KVM counted +ratio\nvm-a +mmio_exits +330 +660 +0\.500\n/);
});

test('a statistic that does not move is not comparable, with the reason', (t) => {
  const folder = withStatistic(t, 'io_exits', () => 0);
  const row = reportOf(folder).audit.find(({ vm, check }) => vm === 'vm-a' && check === 'io_exits');
  assert.deepEqual([row?.kvm, row?.counted, row?.ratio], [0, 3359, null]);
  assert.match(row?.not_comparable ?? '', /^io_exits does not move/);
  assert.match(runAgent('report', folder).stdout, /^Not comparable: io_exits: io_exits does not move/m);
});
