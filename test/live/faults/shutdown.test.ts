/** The agent ends when nobody expects it, or its readers do. FAULTS_KILLS=100 kills it a hundred times. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeInstance, startAgent, tracingInstances, uniqueInstance } from '../../support/agent/agent.js';
import { reportOf } from '../../support/agent/run-agent.js';
import { endAll, endLater } from '../../support/end-later.js';
import { freePort } from '../../support/free-port.js';
import {
  assertCountsExactly,
  ioExits,
  killed,
  liveTest,
  longer,
  PORT_WRITES,
} from '../../support/guest/agent-checks.js';
import { startGuest } from '../../support/guest/start-guest.js';
import { MAIN } from '../../support/paths.js';
import { Samples } from '../../support/prometheus/samples.js';

afterEach(endAll);

const KILLS = longer('FAULTS_KILLS', 6);
/** From the start of the process until it surely reads: a kill may come in the middle of making the instance. */
const MOST_MS = 1500;

/** Does not wait until it serves. */
function begin(instance: string) {
  const args = ['run', '--web.listen-address=127.0.0.1:0', `--tracefs.instance=${instance}`];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (text) => {
    log += text;
  });
  const ended = once(child, 'close');
  return { child, log: () => log, ended, isEnded: endLater(() => killed(child, instance)) };
}

test(`kill -9 at ${KILLS} random moments: the next start takes over what is left`, {
  ...liveTest(),
  timeout: 60_000 + KILLS * 10_000,
}, async (t) => {
  const instance = uniqueInstance();
  let left = 0;
  for (let round = 1; round <= KILLS; round++) {
    const { child, log, ended, isEnded } = begin(instance);
    const afterMs = Math.random() * MOST_MS;
    await sleep(afterMs);
    child.kill('SIGKILL');
    await ended;
    isEnded();
    assert.equal(child.signalCode, 'SIGKILL', `it ended by itself within ${afterMs} ms: ${log()}`);
    if (tracingInstances().includes(instance)) left++;
  }
  t.diagnostic(`left an instance behind ${left} times of ${KILLS}`);
  const agent = await startAgent({ instance });
  await assertCountsExactly(agent, 'after-kills');
  // stop() asserts exit code 0 and that the instance is gone.
  await agent.stop();
});

test('SIGTERM at any moment of its start: it ends as it should, and leaves nothing behind', liveTest(), async (t) => {
  let cleanly = 0;
  for (let afterMs = 100; afterMs <= 700; afterMs += 40) {
    const instance = uniqueInstance();
    const { child, log, ended, isEnded } = begin(instance);
    await sleep(afterMs);
    child.kill('SIGTERM');
    await ended;
    isEnded();
    assert.ok(!removeInstance(instance), `left behind by a SIGTERM after ${afterMs} ms: ${log()}`);
    if (child.exitCode === 0) cleanly++;
    else assert.deepEqual({ signal: child.signalCode, log: log() }, { signal: 'SIGTERM', log: '' });
  }
  t.diagnostic(`${cleanly} of 16 had begun`);
});

test('nobody reads its log any more: it counts on, and ends cleanly', liveTest(), async () => {
  const agent = await startAgent();
  agent.process.stderr?.destroy();
  // Starting and stopping VMs are what it says most of.
  await assertCountsExactly(agent, 'unheard-a');
  await assertCountsExactly(agent, 'unheard-b');
  await agent.stop();
});

test('the disk with its log is full: it counts on, and ends cleanly', liveTest(), async () => {
  const instance = uniqueInstance();
  const port = await freePort();
  const full = openSync('/dev/full', 'w');
  const args = ['run', `--web.listen-address=127.0.0.1:${port}`, `--tracefs.instance=${instance}`];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', full] });
  closeSync(full);
  const ended = once(child, 'close');
  const isEnded = endLater(() => killed(child, instance));
  const scrape = () => fetch(`http://127.0.0.1:${port}/metrics`).then((answer) => answer.text());
  const deadline = Date.now() + 20_000;
  let started = false;
  for (let text = ''; !(started && ioExits(new Samples(text), 'unwritten') === PORT_WRITES + 1); ) {
    text = await scrape().catch(() => '');
    if (text !== '' && !started) {
      started = true;
      await startGuest({ name: 'unwritten', steps: [{ out: 0x80, times: PORT_WRITES }] }).finished();
    }
    assert.ok(child.exitCode === null && Date.now() < deadline, `exit code ${child.exitCode}: ${text}`);
    await sleep(50);
  }
  child.kill('SIGTERM');
  await ended;
  isEnded();
  assert.ok(!removeInstance(instance));
  assert.equal(child.exitCode, 0);
});

test('record whose output nobody reads ends cleanly', liveTest(), async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'unread-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const instance = uniqueInstance();
  const args = ['record', '-o', join(folder, 'recording'), '--duration=500ms', `--tracefs.instance=${instance}`];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  child.stderr.destroy();
  await once(child, 'close');
  assert.ok(!removeInstance(instance));
  assert.equal(child.exitCode, 0);
  assert.doesNotThrow(() => reportOf(join(folder, 'recording')));
});
