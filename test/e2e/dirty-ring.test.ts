/**
 * Full dirty rings in recordings of two VMs that write to their memory while they migrate, by
 * test/live/advice/record-dirty-ring.ts: one with a small ring, and one with the ring that the finding prints. A parser
 * of its own adds up rates and costs from the text of the recordings.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { RULES } from '../../src/advice/rules.js';
import { reportOf } from '../support/agent/run-agent.js';
import { fixture, readFixture } from '../support/fixtures.js';
import { type AddressCost, costsByReason } from '../support/trace/trace-costs.js';

const ADVICE = 'dirty-ring-full';
const TOLERANCE = 0.2;
/** What the kernel prints for KVM_EXIT_DIRTY_RING_FULL, 31 (include/uapi/linux/kvm.h). */
const DIRTY_RING_FULL = '0x1f';
/** Pages in a ring of the first VM. */
const SMALL_RING = 1024;

const reportOn = (vm: string) =>
  reportOf('--path.procfs', fixture(`dirty-ring/${vm}/proc`), fixture(`dirty-ring/${vm}/trace.txt`));

/** What the exits of all vCPUs for a reason cost by the text. */
function costByText(vm: string, reason: string): AddressCost {
  const all = [...costsByReason(readFixture(`dirty-ring/${vm}/trace.txt`).toString())];
  const matching = all.filter(([key]) => key.split(' ')[1] === reason).map(([, cost]) => cost);
  return {
    perSecond: matching.reduce((sum, { perSecond }) => sum + perSecond, 0),
    seconds: matching.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}

test('full dirty rings are a finding at the rate and the cost that the text adds up to', (t) => {
  const findings = reportOn('small-ring').findings ?? [];
  // Pages are write-protected, so that each first write is a fault: the ring is not the cause of those.
  assert.deepEqual(findings.map(({ advice }) => advice).sort(), [ADVICE, 'page-faults']);
  const finding = findings.find(({ advice }) => advice === ADVICE);
  const [perSecond, cost] = [finding?.per_second ?? Number.NaN, finding?.cost ?? Number.NaN];
  const expected = costByText('small-ring', DIRTY_RING_FULL);
  t.diagnostic(`${perSecond}/s at ${cost} of a vCPU, by the text ${expected.perSecond}/s at ${expected.seconds}`);
  assert.ok(Math.abs(perSecond / expected.perSecond - 1) < 0.01);
  assert.ok(Math.abs(cost / expected.seconds - 1) <= TOLERANCE);
});

test('with the ring that the finding prints, it is never full, although a small one would be each second', () => {
  const change = RULES.find(({ id }) => id === ADVICE)?.changes.qemu;
  const [pid] = readdirSync(fixture('dirty-ring/large-ring/proc'));
  const cmdline = readFixture(`dirty-ring/large-ring/proc/${pid}/cmdline`).toString().split('\0').join(' ');
  assert.ok(change !== undefined && cmdline.includes(change), cmdline);
  assert.deepEqual(
    reportOn('large-ring').findings?.map(({ advice }) => advice),
    ['page-faults'],
  );
  assert.equal(costByText('large-ring', DIRTY_RING_FULL).perSecond, 0);
  // Each fault is the first write to a page since QEMU has emptied the ring, which it does once a second.
  assert.ok(costByText('large-ring', 'npf').perSecond > SMALL_RING);
});
