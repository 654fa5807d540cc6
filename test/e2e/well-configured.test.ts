/**
 * Recordings of well-configured VMs have no finding. What each VM was is in test/live/advice/record-well-configured.ts;
 * how many exits it had was counted by `trace-cmd report` and `perf script`.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { reportOf } from '../support/agent/run-agent.js';
import { fixture, readJson } from '../support/fixtures.js';
import { ROOT } from '../support/paths.js';

interface Expected {
  readonly file: string;
  /** Program that recorded it. */
  readonly recorder: 'record' | 'perf';
  /** Label of the VM in a report: its name, or its process id. */
  readonly vm: string;
  /** Numbers of events: kvm_exit, and kvm_userspace_exit whose reason is KVM_EXIT_*. */
  readonly exits: number;
  readonly exitsToQemu: number;
}

const RECORDINGS = readJson<readonly Expected[]>('well-configured/expected.json');
/** A guest that halts 250 times in six seconds has these few. */
const MIN_EXITS = 50;
const MIN_SECONDS = 5;

test('there are ten of a host whose KVM does not report exits to KVM, and nine with them', () => {
  const withExits = RECORDINGS.filter(({ exits }) => exits > 0);
  assert.deepEqual([RECORDINGS.length - withExits.length, withExits.length], [10, 9]);
});

test('the tenth with exits to KVM, a Linux guest with a virtio disk of the demonstration, has no finding either', () => {
  const recording = join(ROOT, 'deploy/demo/recording');
  const report = reportOf('--vm=web-1', '--path.procfs', join(recording, 'proc'), join(recording, 'trace_pipe.txt.gz'));
  assert.ok(report.exits.reduce((sum, { count }) => sum + count, 0) > 10_000);
  assert.deepEqual(report.findings, []);
});

for (const { file, recorder, vm, exits, exitsToQemu } of RECORDINGS)
  test(`${file} by ${recorder}: ${exits} exits to KVM, ${exitsToQemu} to QEMU, and nothing to change`, () => {
    const report = reportOf(`--vm=${vm}`, fixture(`well-configured/${file}`));
    const count = (layer: string) =>
      report.exits
        .filter((row) => row.layer === layer && row.vm === vm && row.reason !== 'restart' && row.reason !== 'error')
        .reduce((sum, row) => sum + row.count, 0);
    assert.deepEqual([count('kvm'), count('qemu')], [exits, exitsToQemu]);
    assert.ok(Math.max(exits, exitsToQemu) >= MIN_EXITS);
    assert.ok((report.recording.seconds ?? 0) >= MIN_SECONDS, `${report.recording.seconds} s`);
    assert.deepEqual(
      report.findings?.map((finding) => `${finding.vm}: ${finding.advice}`),
      [],
    );
  });
