/** Guessing of passwords, over HTTP: it keeps no scraper out, and tells nothing about the names of users. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { statusOf, WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { median } from '../support/median.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

/** Hashes of "secret" by the C library's crypt (perl: crypt). */
const CHEAP = '$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW';
const DEAR = '$2y$09$abcdefghijklmnopqrstuuHGaj8X0gyV0nNYEM.J5pTQDq3AfkM3W';

async function start(t: TestContext, users: string): Promise<WebAgent> {
  const file = join(temporaryFolder(t, 'guessed'), 'web.yml');
  writeFileSync(file, `basic_auth_users: {${users}}\n`);
  const agent = await WebAgent.startCommand('run', [
    '--no-collector.kernel',
    '--qemu.log=/x',
    `--web.config.file=${file}`,
  ]);
  await statusOf(`${agent.url}/-/healthy`, { auth: 'first:first' });
  return agent;
}

/** Nanoseconds of CPU time of all threads of a process, by the kernel. */
function cpuTime(pid: number): number {
  const times = readdirSync(`/proc/${pid}/task`).map((tid) =>
    Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]),
  );
  return times.reduce((sum, time) => sum + time, 0);
}

const WAYS: readonly (readonly [string, string])[] = [
  ['one user', `prometheus: ${DEAR}`],
  ['users whose hashes differ in cost', `admin: ${DEAR}, prometheus: ${CHEAP}`],
];

for (const [what, users] of WAYS)
  test(`a wrong password costs as much for an unknown user as for a known one: ${what}`, async (t) => {
    const agent = await start(t, users);
    const url = `${agent.url}/-/healthy`;
    const spent = { prometheus: [] as number[], unknown: [] as number[] };
    // In turns, so that what else the agent does is shared.
    for (let guess = 0; guess < 12; guess++)
      for (const user of ['prometheus', 'unknown'] as const) {
        const before = cpuTime(agent.process.pid ?? 0);
        assert.equal(await statusOf(url, { auth: `${user}:guess-${guess}` }), 401);
        spent[user].push(cpuTime(agent.process.pid ?? 0) - before);
      }
    // What the agent does besides, such as collecting garbage, falls into few of them.
    const [known, unknown] = [median(spent.prometheus), median(spent.unknown)];
    t.diagnostic(`milliseconds of CPU: ${(known / 1e6).toFixed(1)} and ${(unknown / 1e6).toFixed(1)}`);
    const ratio = unknown / known;
    assert.ok(ratio > 0.75 && ratio < 1.33, `${ratio}`);
  });

test('a scraper that comes for the first time waits for some guesses only, however many are sent', async (t) => {
  const agent = await start(t, `prometheus: ${DEAR}`);
  const url = `${agent.url}/metrics`;
  let answered = 0;
  const stop = new AbortController();
  const { signal } = stop;
  const guess = async (client: number) => {
    for (let n = 0; !signal.aborted; n++) {
      await statusOf(url, { auth: `prometheus:${client}-${n}`, signal });
      answered++;
    }
  };
  const guessers = Array.from({ length: 100 }, (_, client) => guess(client));
  while (answered < 10) await sleep(10);
  const before = answered;
  const status = await statusOf(url, { auth: 'prometheus:secret' });
  const waited = answered - before;
  const again = await statusOf(url, { auth: 'prometheus:secret' });
  const waitedAgain = answered - before - waited;
  stop.abort();
  await Promise.all(guessers);
  t.diagnostic(`waited for ${waited} guesses, then for ${waitedAgain}`);
  assert.deepEqual([status, again], [200, 200]);
  assert.ok(waited <= 20, `${waited} guesses were answered before the scraper`);
  assert.ok(waitedAgain <= 5, `${waitedAgain} guesses were answered before its second scrape`);
});
