import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AllowedHosts } from '../../../src/web/access/allowed-hosts.js';

const HOSTS = new AllowedHosts(['kvm-1', 'KVM-1.example.org', '*.corp.example']);

test('addresses, localhost and the given names are allowed, with any port', () => {
  for (const header of [
    undefined,
    '',
    '192.0.2.1',
    '192.0.2.1:10586',
    '[::1]:10586',
    '[2001:db8::1]',
    '[fe80::1%25eth0]:10586',
    '[::ffff:192.0.2.1]:10586',
    'localhost',
    'LOCALHOST:80',
    'localhost.:80',
    'agent.localhost:10586',
    'kvm-1:10586',
    'kvm-1.EXAMPLE.org.',
    'a.corp.example',
    'a.b.corp.example:1',
  ])
    assert.ok(HOSTS.allows(header), header);
});

test('all other names are refused, and so is what is no name', () => {
  for (const header of [
    'evil.example',
    'kvm-1.evil.example:10586',
    'localhost.evil.example',
    'evil-localhost',
    'corp.example',
    'evilcorp.example',
    'kvm-1.example.org.evil.example',
    '127.0.0.1.evil.example',
    // A browser writes all of these as 127.0.0.1.
    '0x7f.0.0.1',
    '2130706433',
    'kvm-1:10586:1',
    'user@kvm-1',
    'kvm-1/',
    'kvm-1 evil.example',
    'kvm-1,evil.example',
    '[kvm-1]',
    '*',
    'a'.repeat(300),
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
  ])
    assert.ok(!HOSTS.allows(header), header);
});

test('* allows every name', () => {
  assert.ok(new AllowedHosts(['*']).allows('evil.example'));
});

test('the refusal says what to do, and repeats nothing that is no name', () => {
  const hosts = new AllowedHosts([]);
  assert.match(hosts.refusal('kvm.example:80'), /^kvm\.example is not .*--web\.allowed-hosts=kvm\.example$/);
  assert.match(hosts.refusal('<script>'), /^NAME is not .*--web\.allowed-hosts=NAME$/);
});
