/**
 * Real hosts of other architectures: a kvm_intel host and an arm64 host. The exits of their guests are known from the
 * guests' code, and KVM's own statistics agree with them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReportData } from '../../src/expose/report/report.js';
import { reportOf } from '../support/agent/run-agent.js';
import { fixture, readJson } from '../support/fixtures.js';

type Counts = Record<string, number>;

interface Expectation {
  readonly exits: ReportData['exits'];
  /** Statistics of KVM by VM. */
  readonly statistics: Readonly<Record<string, Counts>>;
  readonly 'trace.dat'?: Counts;
}

/** Statistic of KVM -> the exits that it counts. */
const STATISTICS: Readonly<Record<string, (row: ReportData['exits'][number]) => boolean>> = {
  exits: ({ layer }) => layer === 'kvm',
  io_exits: ({ reason }) => reason === 'IO_INSTRUCTION',
  halt_exits: ({ reason }) => reason === 'HLT',
  hypercalls: ({ reason }) => reason === 'VMCALL',
  mmio_exits: ({ reason }) => reason === 'KVM_EXIT_MMIO',
  hvc_exit_stat: ({ reason }) => reason === 'HVC64',
  mmio_exit_user: ({ reason }) => reason === 'KVM_EXIT_MMIO',
};

function sorted(exits: ReportData['exits']): string[] {
  return exits.map(({ vm, vcpu, layer, reason, count }) => [vm, vcpu, layer, reason, count].join(' ')).sort();
}

for (const name of ['vmx/two-vms-6.1', 'arm64/two-vms-6.1']) {
  const { exits, statistics } = readJson<Expectation>(`${name}/expected.json`);
  const text = ['--path.procfs', fixture(`${name}/proc`), fixture(`${name}/trace.txt`)];
  for (const [form, args] of [
    ['pages', [fixture(name)]],
    ['text', text],
  ] as const)
    test(`the ${form} of ${name} have the exits of the guests, and those that KVM counted`, () => {
      const got = reportOf(...args);
      assert.deepEqual(sorted(got.exits), sorted(exits));
      assert.deepEqual([got.malformed, got.lost], [{}, { events: 0, unknown_gaps: 0 }]);
      for (const [vm, counts] of Object.entries(statistics))
        for (const [statistic, isCounted] of Object.entries(STATISTICS)) {
          const own = got.exits.filter((row) => row.vm === vm && isCounted(row));
          const sum = own.reduce((total, { count }) => total + count, 0);
          if (counts[statistic] !== undefined) assert.equal(sum, counts[statistic], `${vm} ${statistic}`);
        }
    });
}

test('a trace.dat of an arm64 host has the exits of its guest', () => {
  const want = readJson<Expectation>('arm64/two-vms-6.1/expected.json')['trace.dat'];
  const { exits } = reportOf(fixture('arm64/two-vms-6.1/trace.dat'));
  const got = Object.fromEntries(exits.map(({ layer, reason, count }) => [`${layer} ${reason}`, count]));
  assert.deepEqual(got, want);
});
