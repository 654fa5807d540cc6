import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AUDIT_CHECKS } from '../../../src/audit/checks.js';
import { REASON_STATISTICS } from '../../../src/count/sampling/exact-reasons.js';

test('the statistics that are taken for exits of one reason are those that the audit compares with it', () => {
  for (const [statistic, reasons] of REASON_STATISTICS) {
    const check = AUDIT_CHECKS.find(({ statistics }) => statistics.includes(statistic));
    assert.deepEqual([check?.layer, check?.statistics, check?.reasons], ['kvm', [statistic], reasons]);
  }
});
