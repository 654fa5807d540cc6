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

for (const newer of [1, 2, 3, 4])
  test(`a scraper waits for 13 guesses at most if ${newer} came just after it, and each answer brings another`, async () => {
    const { compare, passwords, finish } = fakeBcrypt();
    const auth = new BasicAuth(compare);
    let guesses = 0;
    const guess = async (): Promise<void> => {
      await auth.check(USERS, basic(`prometheus:${guesses++}`), client());
      if (!passwords.includes('secret')) void guess();
    };
    for (let guesser = 0; guesser < 100; guesser++) void guess();
    for (let turn = 0; turn < 7; turn++) await finish();
    const before = passwords.length;
    void auth.check(USERS, basic('prometheus:secret'), client());
    for (let each = 0; each < newer; each++) void guess();
    for (let turn = 0; turn < 20 && !passwords.includes('secret'); turn++) await finish();
    const waited = passwords.indexOf('secret') - before;
    assert.ok(waited >= 0 && waited <= 13, passwords.join());
  });

test('the event loop goes on while a password is compared', async () => {
  // 2^10 rounds take 50 ms or more; bcryptjs itself gives way to other work every 100 ms.
  const costly = HASH.replace('$04$', '$10$');
  let rounds = 0;
  let isDone = false;
  const count = () => {
    rounds++;
    if (!isDone) setImmediate(count);
  };
  count();
  assert.equal(await new BasicAuth().check(new Map([['a', costly]]), basic('a:b'), client()), 'wrong');
  isDone = true;
  assert.ok(rounds > 100, `${rounds} rounds of the event loop`);
});

test('a password that cannot be checked is neither right nor wrong, and is checked again', async () => {
  let tries = 0;
  const auth = new BasicAuth(async () => {
    if (++tries === 1) throw new Error('the thread has ended');
    return true;
  });
  assert.equal(await auth.check(USERS, basic('prometheus:secret'), client()), 'busy');
  assert.equal(await auth.check(USERS, basic('prometheus:secret'), client()), 'right');
});

const HOSTILE_HEADERS = [
  ['a password of 11 KB', basic(`prometheus:${'x'.repeat(11_000)}`)],
  ['a user of 11 KB', basic(`${'x'.repeat(11_000)}:secret`)],
  ['the password after a NUL', basic('prometheus:\0secret')],
  ['the password before a NUL', basic('prometheus:secret\0')],
  ['a user before a NUL', basic('prometheus\0:secret')],
  ['letters of twice the width', basic('prometheus:ｓｅｃｒｅｔ')],
  ['bytes that are no UTF-8', `Basic ${Buffer.from([0xff, 0x3a, 0xfe, 0xc0]).toString('base64')}`],
  ['base64 with a hole', 'Basic cHJvbWV0aGV1czpz ZWNyZXQ='],
  ['base64 of URLs', 'Basic cHJvbWV0aGV1czpz_-_-'],
  ['the scheme alone', 'Basic'],
  ['two colons', basic('::')],
  ['many equal signs', `Basic ${'='.repeat(10_000)}`],
  ['many spaces', `Basic ${' '.repeat(10_000)}x`],
] as const;
for (const [name, header] of HOSTILE_HEADERS)
  test(`${name} is wrong`, async () => assert.equal(await new BasicAuth().check(USERS, header, client()), 'wrong'));

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
