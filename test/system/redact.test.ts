import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addSecret, redact, redactCredentials } from '../../src/system/redact.js';
import { cpuMs } from '../support/cpu-ms.js';

for (const [text, want] of [
  ['http://localhost:4318/v1/metrics', 'http://localhost:4318/v1/metrics'],
  ['no URL: user@host', 'no URL: user@host'],
  ['https://user:pass@host/v1', 'https://***@host/v1'],
  ['https://user@host', 'https://***@host'],
  ['at https://u:p@ss/w?rd@host:4318/v1?key=abc, again', 'at https://***@host:4318/v1?***'.concat(' again')],
  ['{"url":"https://u:p@host/?token=abc"}', '{"url":"https://***@host/?***"}'],
  ['http://a/?b http://c:d@e', 'http://a/?*** http://***@e'],
  ['ftp://u:p@h: expected a URL', 'ftp://***@h: expected a URL'],
] as const)
  test(`redacted: ${text}`, () => assert.equal(redact(text), want));

test('registered values are hidden everywhere, short ones are not registered', () => {
  for (const secret of ['s3cret-token', 'abc']) addSecret(secret);
  assert.equal(redact('header "Bearer s3cret-token" abc'), 'header "Bearer ***" abc');
});

test('what was to be a URL shows no credentials', () => {
  assert.equal(redactCredentials('user:pass@host:4318'), '***@host:4318');
  assert.equal(redactCredentials('host:4318'), 'host:4318');
});

test('the time is proportional to the length', () => {
  const ms = cpuMs(() => {
    for (const part of ['a://', 'a://@', '?a://', ' a://b@']) redact(part.repeat(200_000));
  });
  // Quadratic time would be minutes.
  assert.ok(ms < 10_000, `${ms} ms`);
});
