import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BasicAuth } from '../../../src/web/access/basic-auth.js';

/**
 * Hash of "secret", made by the C library's crypt (perl -e 'print crypt("secret", q($2y$04$abcdefghijklmnopqrstuu))').
 */
const HASH = '$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW';
// Keeps the process alive as a listening server would; a pending comparison does not.
const listening = setInterval(() => {}, 60_000);
after(() => clearInterval(listening));

/** A client at an address of its own. */
const client = (network = '192.0.2.1') => ({ network, isGone: () => false });

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
  test(`${name} is ${want}`, async () => assert.equal(await new BasicAuth().check(USERS, header, client()), want));

test('a password is right only while its hash is in the file', async () => {
  const auth = new BasicAuth();
  assert.equal(await auth.check(USERS, basic('prometheus:secret'), client()), 'right');
  assert.equal(
    await auth.check(new Map([['prometheus', HASH.replace(/W$/, 'X')]]), basic('prometheus:secret'), client()),
    'wrong',
  );
  assert.equal(await auth.check(new Map(), basic('prometheus:secret'), client()), 'wrong');
});

/** bcrypt that notes the hashes it is given, and takes until `finish` is called. */
function fakeBcrypt() {
  const hashes: string[] = [];
  const passwords: string[] = [];
  const waiting: (() => void)[] = [];
  const compare = async (password: string, hash: string) => {
    hashes.push(hash);
    passwords.push(password);
    await new Promise<void>((resolve) => waiting.push(resolve));
    return password === 'secret';
  };
  /** Ends the comparison that runs, and waits until the next one has begun. */
  const finish = async () => {
    const before = passwords.length;
    waiting.shift()?.();
    for (let tries = 0; tries < 50 && passwords.length === before; tries++) await sleep(2);
  };
  return { compare: compare as never, hashes, passwords, finish };
}

test('every user, known or not, takes the rounds of the costliest hash', async () => {
  const rest = HASH.slice(7);
  const users = new Map([
    ['cheap', `$2y$04$${rest}`],
    ['dear', `$2y$10$${rest}`],
    ['middling', `$2a$07$${rest}`],
  ]);
  for (const user of ['cheap', 'middling', 'dear', 'unknown', 'constructor', '']) {
    const { compare, hashes, finish } = fakeBcrypt();
    let isDone = false;
    const verdict = new BasicAuth(compare).check(users, basic(`${user}:wrong`), client()).finally(() => {
      isDone = true;
    });
    while (!isDone) await finish();
    assert.equal(await verdict, 'wrong');
    // crypt(5): bcrypt takes two to the power of its cost rounds.
    const rounds = hashes.reduce((sum, hash) => sum + 2 ** Number(/^\$2[aby]\$(\d\d)\$/.exec(hash)?.[1]), 0);
    assert.equal(rounds, 1024, user);
  }
});

for (const [where, network, most] of [
  ['another address', '192.0.2.2', 2],
  ['the address of the guesses', '192.0.2.1', 3],
] as const)
  test(`a scraper that comes for the first time from ${where} waits for two or three of 300 guesses`, async () => {
    const { compare, passwords, finish } = fakeBcrypt();
    const auth = new BasicAuth(compare);
    for (let guess = 0; guess < 300; guess++) void auth.check(USERS, basic(`prometheus:${guess}`), client());
    for (let turn = 0; turn < 7; turn++) await finish();
    const before = passwords.length;
    const scrape = auth.check(USERS, basic('prometheus:secret'), client(network));
    for (let turn = 0; turn < 10 && !passwords.includes('secret'); turn++) await finish();
    assert.ok(passwords.indexOf('secret') - before < most, passwords.join());
    await finish();
    assert.equal(await scrape, 'right');
    // From now on it does not wait.
    assert.equal(await auth.check(USERS, basic('prometheus:secret'), client(network)), 'right');
  });

test('guesses of clients that have gone are not compared', async () => {
  const { compare, passwords, finish } = fakeBcrypt();
  const auth = new BasicAuth(compare);
  for (let guess = 0; guess < 100; guess++)
    void auth.check(USERS, basic(`prometheus:${guess}`), { network: 'a', isGone: () => passwords.length > 0 });
  const scrape = auth.check(USERS, basic('prometheus:secret'), client());
  await finish();
  await finish();
  assert.deepEqual([await scrape, passwords], ['right', ['0', 'secret']]);
});

test('guesses beyond 512 are refused, and wrong ones never displace the right password', async () => {
  const auth = new BasicAuth();
  assert.equal(await auth.check(USERS, basic('prometheus:secret'), client()), 'right');
  const guesses = Array.from({ length: 600 }, (_, i) => auth.check(USERS, basic(`prometheus:${i}`), client()));
  assert.equal(await auth.check(USERS, basic('prometheus:secret'), client()), 'right');
  const verdicts = await Promise.all(guesses);
  assert.ok(!verdicts.includes('right'));
  assert.equal(verdicts.filter((verdict) => verdict === 'busy').length, 600 - 513);
  assert.equal(await auth.check(USERS, basic('prometheus:secret'), client()), 'right');
});
