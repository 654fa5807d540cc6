import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { VmRates } from '../../src/rates/vm-rates.js';
import { contentSecurityPolicy } from '../../src/web/html-page.js';
import { landingPage, REFRESH_SCRIPT } from '../../src/web/landing-page.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { findingOf } from '../support/agent/example-finding.js';
import { vmInfo } from '../support/agent/vm-info.js';

const EVIL = `<img src=x onerror=alert(1)>"'&`;

test('names of VMs are escaped on the page', () => {
  const rates = new VmRates(() => ({ ...emptySnapshot(), vms: [vmInfo({ vm: EVIL })] }), { now: () => 0 });
  const options = { version: '1', telemetryPath: '/metrics', notice: undefined };
  const html = landingPage(options, rates.current(), [findingOf(EVIL)]);
  assert.ok(!html.includes('<img'), html);
  assert.ok(html.includes('&#60;img src=x onerror=alert(1)&#62;&#34;&#39;&#38;'));
});

test('the policy allows the style and the script of the page, and nothing else', () => {
  const rates = new VmRates(emptySnapshot, { now: () => 0 });
  const html = landingPage({ version: '1', telemetryPath: '/m', notice: 'N' }, rates.current(), []);
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
