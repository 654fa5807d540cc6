import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LastingFindings } from '../../src/advice/lasting-findings.js';
import { ExitColumns, ExitRows } from '../../src/snapshot/tables/exit-rows.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';

const MINUTE_MS = 60_000;

/** A snapshot of a VM with so many CPUID exits since its start. */
function cpuidExits(count: number) {
  const columns = new ExitColumns();
  columns.add(0, 'kvm', 0, count);
  return { ...emptySnapshot(), exits: new ExitRows([{ vm: 'web', vcpu: '0' }], ['CPUID'], columns) };
}

/** The findings after each minute, given the exits of each. */
function afterEachMinute(findings: LastingFindings, exitsOfMinutes: readonly number[]): string[] {
  let total = 0;
  findings.observe(cpuidExits(total), 0);
  return exitsOfMinutes.map((exits, minute) => {
    total += exits;
    findings.observe(cpuidExits(total), (minute + 1) * MINUTE_MS);
    return findings.current.map(({ rule, lastedSeconds }) => `${rule.id} ${lastedSeconds}`).join();
  });
}

const [BUSY, QUIET] = [12_000 * 60, 8000 * 60];

test('a finding is shown once it was made in each minute for the whole time, and ends with the first without', () => {
  const findings = new LastingFindings(180, []);
  assert.deepEqual(afterEachMinute(findings, [BUSY, BUSY, BUSY, BUSY, QUIET, BUSY]), [
    '',
    '',
    'cpuid-loop 180',
    'cpuid-loop 240',
    '',
    '',
  ]);
});

test('a burst is no finding, however large', () => {
  assert.deepEqual(afterEachMinute(new LastingFindings(120, []), [QUIET, 100 * BUSY, QUIET]), ['', '', '']);
});

test('the rate is that of the latest minute', () => {
  const findings = new LastingFindings(60, []);
  afterEachMinute(findings, [BUSY, 2 * BUSY]);
  assert.equal(findings.current[0]?.load.perSecond, 24_000);
});

test('a rule that is switched off finds nothing', () => {
  assert.deepEqual(afterEachMinute(new LastingFindings(60, ['cpuid-loop']), [BUSY, BUSY]), ['', '']);
});
