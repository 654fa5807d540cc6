import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { BasicAuth } from '../../../src/web/access/basic-auth.js';

/**
 * Hash of "secret", made by the C library's crypt (perl -e 'print crypt("secret", q($2y$04$abcdefghijklmnopqrstuu))').
 */
const HASH = '$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW';
// Keeps the process alive as a listening server would; a pending comparison does not.
const listening = setInterval(() => {}, 60_000);
after(() => clearInterval(listening));

const USERS = new Map([['prometheus', HASH]]);
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

const HEADERS = [
  ['the right password', basic('prometheus:secret'), 'right'],
  ['the right password, scheme in capitals', basic('prometheus:secret').replace('Basic', 'BASIC'), 'right'],
  ['a wrong password', basic('prometheus:Secret'), 'wrong'],
  ['no password', basic('prometheus:'), 'wrong'],
  ['more than the password', basic('prometheus:secret:'), 'wrong'],
  ['an unknown user', basic('grafana:secret'), 'wrong'],
  ['a name that every object has', basic('constructor:secret'), 'wrong'],
  ['no colon', basic('prometheus'), 'wrong'],
  ['another scheme', 'Bearer abc', 'wrong'],
  ['no base64', 'Basic ***', 'wrong'],
  ['nothing', undefined, 'wrong'],
] as const;
for (const [name, header, want] of HEADERS)
  test(`${name} is ${want}`, async () => assert.equal(await new BasicAuth().check(USERS, header), want));

test('a password is right only while its hash is in the file', async () => {
  const auth = new BasicAuth();
  assert.equal(await auth.check(USERS, basic('prometheus:secret')), 'right');
  assert.equal(
    await auth.check(new Map([['prometheus', HASH.replace(/W$/, 'X')]]), basic('prometheus:secret')),
    'wrong',
  );
  assert.equal(await auth.check(new Map(), basic('prometheus:secret')), 'wrong');
});

test('an unknown user costs as much as a known one with a wrong password', async () => {
  const cost10 = new Map([['prometheus', `$2y$10$${HASH.slice(7)}`]]);
  const time = async (header: string) => {
    const startMs = performance.now();
    await new BasicAuth().check(cost10, header);
    return performance.now() - startMs;
  };
  let [known, unknown] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < 3; round++) {
    known = Math.min(known, await time(basic('prometheus:wrong')));
    unknown = Math.min(unknown, await time(basic('grafana:wrong')));
  }
  assert.ok(unknown > known / 4, `${unknown} ms against ${known} ms`);
});

test('guessed passwords wait, then are refused; the right password is accepted at once', async () => {
  const auth = new BasicAuth();
  assert.equal(await auth.check(USERS, basic('prometheus:secret')), 'right');
  const guesses = Array.from({ length: 200 }, (_, i) => auth.check(USERS, basic(`prometheus:${i}`)));
  assert.equal(await auth.check(USERS, basic('prometheus:secret')), 'right');
  const verdicts = await Promise.all(guesses);
  assert.deepEqual(
    verdicts.filter((verdict) => verdict === 'right'),
    [],
  );
  assert.ok(verdicts.filter((verdict) => verdict === 'busy').length >= 170);
  assert.equal(await auth.check(USERS, basic('prometheus:secret')), 'right');
});
