import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import { contentSecurityPolicy } from '../../src/web/html-page.js';
import { landingPage, REFRESH_SCRIPT, statusLine, tableCells } from '../../src/web/landing-page.js';
import { VmRates } from '../../src/web/vm-rates.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { vmInfo } from '../support/agent/vm-info.js';

const EVIL = `<img src=x onerror=alert(1)>"'&`;

/**
 * Snapshot of a VM with two vCPUs that makes 1,000 exits to KVM and 100 to QEMU per second, while 5 events per second
 * are lost.
 */
function at(seconds: number, vm = 'web-1'): Snapshot {
  const exits = (['0', '1'] as const).flatMap((vcpu) => [
    { vm, vcpu, layer: 'kvm' as const, reason: 'io', count: 7 + 500 * seconds },
    { vm, vcpu, layer: 'qemu' as const, reason: 'KVM_EXIT_IO', count: 50 * seconds },
  ]);
  return {
    ...emptySnapshot(),
    exits,
    outside: [{ vm, vcpu: '0', kvmSeconds: 0.2 * seconds, qemuSeconds: 0.05 * seconds, idleSeconds: 9 * seconds }],
    vms: [vmInfo({ vm, pid: '1', vcpus: 2 })],
    sources: [
      {
        source: 'tracefs',
        up: true,
        events: 1,
        drains: 1,
        drainSeconds: 1,
        lost: [{ cpu: '0', events: 5 * seconds, unknownGaps: 0 }],
        malformed: [],
      },
      { source: 'qemu_log', up: false, events: 0, drains: 0, drainSeconds: 0, lost: [], malformed: [] },
    ],
  };
}

test('rates are differences between two snapshots', () => {
  let seconds = 0;
  const rates = new VmRates(
    () => at(seconds),
    () => seconds * 1000,
  );
  assert.deepEqual(tableCells(rates.current()), [['web-1', '2', '…', '…', '–', '–', '–']]);
  seconds = 4;
  const answer = rates.current();
  assert.deepEqual(tableCells(answer), [['web-1', '2', '1,000', '100', '10.0 %', '25.0 %', '5.0 %']]);
  assert.equal(
    statusLine(answer),
    'Rates over the last 4.0 s. 20 events lost, 5 per second: the figures are too low. Not open: qemu_log.',
  );
});

test('any number of viewers costs one snapshot every two seconds', () => {
  let [nowMs, snapshots] = [0, 0];
  const rates = new VmRates(
    () => at(++snapshots),
    () => nowMs,
  );
  for (; nowMs <= 10_000; nowMs += 10) rates.current();
  assert.equal(snapshots, 6);
});

test('a new VM has a rate from 0, and restarted counters have the rate 0', () => {
  let snapshot = at(100);
  let nowMs = 0;
  const rates = new VmRates(
    () => snapshot,
    () => nowMs,
  );
  rates.current();
  snapshot = at(1);
  nowMs = 2000;
  assert.deepEqual(
    rates.current().vms.map(({ kvm_exits_per_second }) => kvm_exits_per_second),
    [0],
  );
  snapshot = at(2, 'new');
  nowMs = 4000;
  assert.deepEqual(
    rates.current().vms.map(({ vm, qemu_exits_per_second }) => [vm, qemu_exits_per_second]),
    [['new', 100]],
  );
});

test('names of VMs are escaped on the page', () => {
  const rates = new VmRates(
    () => at(1, EVIL),
    () => 0,
  );
  const options = { version: '1', telemetryPath: '/metrics', notice: undefined };
  const html = landingPage(options, rates.current());
  assert.ok(!html.includes('<img'), html);
  assert.ok(html.includes('&#60;img src=x onerror=alert(1)&#62;&#34;&#39;&#38;'));
});

test('the policy allows the style and the script of the page, and nothing else', () => {
  const rates = new VmRates(emptySnapshot, () => 0);
  const html = landingPage({ version: '1', telemetryPath: '/m', notice: 'N' }, rates.current());
  // CSP Level 3, section 6.7.2.5: the hash is that of the element's text.
  const hashes = [...html.matchAll(/<(style|script)>([\s\S]*?)<\/\1>/g)].map(
    ([, tag, text = '']) => `${tag}-src 'sha256-${createHash('sha256').update(text).digest('base64')}'`,
  );
  assert.equal(hashes.length, 2);
  assert.ok(contentSecurityPolicy(REFRESH_SCRIPT).startsWith(`default-src 'none'; ${hashes.join('; ')};`));
  assert.match(contentSecurityPolicy(''), /script-src 'none'/);
  assert.equal([...html.matchAll(/<(?:style|script)/g)].length, hashes.length);
  assert.doesNotMatch(html, /\son\w+=|style="/);
  assert.match(html, /<p class="notice">N<\/p>/);
  assert.match(html, /No VM has been seen yet/);
});
