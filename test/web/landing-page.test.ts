import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { VmRates } from '../../src/rates/vm-rates.js';
import { CONTENT_SECURITY_POLICY } from '../../src/web/html-page.js';
import { landingPage } from '../../src/web/landing-page.js';
import { vmPage } from '../../src/web/vm-page.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { findingOf } from '../support/agent/example-finding.js';
import { vmInfo } from '../support/agent/vm-info.js';

const EVIL = `<img src=x onerror=alert(1)>"'&`;
const ESCAPED = '&#60;img src=x onerror=alert(1)&#62;&#34;&#39;&#38;';
const OPTIONS = { version: '1', telemetryPath: '/m', notice: 'N', href: (name: string) => `/assets/${name}` };

test('names of VMs are escaped on the pages, and in addresses', () => {
  const snapshot = () => ({ ...emptySnapshot(), vms: [vmInfo({ vm: EVIL })] });
  const rates = new VmRates(snapshot, { now: () => 0, findings: () => [findingOf(EVIL)] });
  const detail = rates.detail(EVIL);
  assert.ok(detail !== undefined);
  for (const html of [
    landingPage(OPTIONS, rates.current(), [findingOf(EVIL)]),
    vmPage(OPTIONS, detail, [findingOf(EVIL)]),
  ]) {
    assert.ok(!html.includes('<img'), html);
    assert.ok(html.includes(ESCAPED));
    const addresses = [...html.matchAll(/href="[^"]*\?name=([^"]*)"/g)].map(([, name = '']) => name);
    assert.ok(addresses.length > 0);
    for (const address of addresses) assert.equal(new URLSearchParams(`name=${address}`).get('name'), EVIL);
  }
});

test('pages mark figures that are estimated from windows', () => {
  const snapshot = (count: number) => ({
    ...emptySnapshot(),
    sampledFraction: 1 / 30,
    vms: [vmInfo({ vm: 'a' })],
    exits: [
      { vm: 'a', vcpu: '0', layer: 'kvm' as const, reason: 'msr', count },
      { vm: 'a', vcpu: '0', layer: 'kvm' as const, reason: 'npf', count },
      { vm: 'a', vcpu: '0', layer: 'qemu' as const, reason: 'KVM_EXIT_IO', count },
    ],
    samplingErrors: [{ vm: 'a', reason: 'msr', count: 2000, low: 1900, high: 2060 }],
  });
  let [nowMs, count] = [0, 0];
  const rates = new VmRates(() => snapshot(count), { now: () => nowMs });
  rates.observe();
  [nowMs, count] = [10_000, 1000];
  rates.observe();
  const note =
    'Sampling: all events are counted in 3.3 % of the time. Exits to KVM, causes, addresses and durations are estimates (~), one period late.';
  assert.ok(landingPage(OPTIONS, rates.current(), []).includes(note));
  const detail = rates.detail('a');
  assert.ok(detail !== undefined);
  const html = vmPage(OPTIONS, detail, []);
  assert.ok(html.includes(note));
  const cells = [...html.matchAll(/<th scope="row">(?:kvm|qemu)<\/th><td[^>]*>([^<]*)<\/td><td[^>]*>([^<]*)<\/td>/g)];
  assert.deepEqual(Object.fromEntries(cells.map(([, reason, text]) => [reason, text])), {
    msr: '~100 ± 5 %',
    npf: '~100',
    KVM_EXIT_IO: '100',
  });
});

test('the policy allows the style of the pages and files of this server, and nothing else', () => {
  const rates = new VmRates(emptySnapshot, { now: () => 0 });
  const html = landingPage(OPTIONS, rates.current(), []);
  const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(html) ?? [];
  // CSP Level 3, section 6.7.2.5: the hash is that of the element's text.
  const hash = createHash('sha256').update(style).digest('base64');
  assert.deepEqual(CONTENT_SECURITY_POLICY.split('; '), [
    "default-src 'none'",
    `style-src 'self' 'sha256-${hash}'`,
    "script-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]);
  assert.equal([...html.matchAll(/<style/g)].length, 1);
  assert.doesNotMatch(html, /<script(?![^>]* src="\/assets\/[\w.]+"><\/script>)/);
  assert.doesNotMatch(html, /\son\w+=|style="|(?:src|href)="(?!\/)/);
  assert.match(html, /<p class="notice">N<\/p>/);
  assert.match(html, /No VM has been seen yet/);
});
