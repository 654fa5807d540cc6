/**
 * The agent is killed or told to stop at any moment, or loses the reader of its output. FAULTS_KILLS=100 kills it a
 * hundred times.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { reportOf } from '../../support/agent/run-agent.js';
import { removeInstance, startAgent, tracingInstances, uniqueInstance } from '../../support/agent/start-agent.js';
import { endAll, endLater } from '../../support/end-later.js';
import { freePort } from '../../support/free-port.js';
import {
  assertCountsExactly,
  ioExits,
  killAndRemoveInstance,
  PORT_WRITES,
  UNTIL_KNOWN,
  writesInAll,
} from '../../support/guest/agent-checks.js';
import { liveTest, numberFromEnvironment } from '../../support/guest/live-test.js';
import { startGuest } from '../../support/guest/start-guest.js';
import { startProgram } from '../../support/guest/start-program.js';
import { MAIN } from '../../support/paths.js';
import { HANG_MS } from '../../support/patience.js';
import { Samples } from '../../support/prometheus/samples.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

afterEach(endAll);

const KILLS = numberFromEnvironment('FAULTS_KILLS', 6);
/** Longest time from the start of the process to a kill, so that kills hit every phase of the start. */
const MAX_START_MS = 1500;

const RUN = ['run', '--web.listen-address=127.0.0.1:0'] as const;

test(`kill -9 at ${KILLS} random moments: the next start takes over the instance that is left`, {
  ...liveTest(),
  timeout: 300_000 + KILLS * 10_000,
}, async (t) => {
  const instance = uniqueInstance();
  let left = 0;
  for (let round = 1; round <= KILLS; round++) {
    const agent = startProgram(RUN, { instance });
    const afterMs = Math.random() * MAX_START_MS;
    await sleep(afterMs);
    agent.process.kill('SIGKILL');
    await agent.ended();
    assert.equal(agent.process.signalCode, 'SIGKILL', `it ended by itself within ${afterMs} ms: ${agent.log()}`);
    if (tracingInstances().includes(instance)) left++;
  }
  t.diagnostic(`${left} of ${KILLS} kills left an instance behind`);
  const agent = await startAgent({ instance });
  await assertCountsExactly(agent, 'after-kills');
  // stop() asserts exit code 0 and that the instance is gone.
  await agent.stop();
});

test('SIGTERM at any moment of its start: the agent ends cleanly and leaves nothing behind', liveTest(), async (t) => {
  let handled = 0;
  for (let afterMs = 100; afterMs <= 700; afterMs += 40) {
    const agent = startProgram(RUN);
    await sleep(afterMs);
    agent.process.kill('SIGTERM');
    await agent.ended();
    assert.ok(!removeInstance(agent.instance), `left behind by a SIGTERM after ${afterMs} ms: ${agent.log()}`);
    if (agent.process.exitCode === 0) handled++;
    else {
      // Until the program has its signal handler, the signal ends it at once.
      assert.deepEqual({ signal: agent.process.signalCode, log: agent.log() }, { signal: 'SIGTERM', log: '' });
    }
  }
  t.diagnostic(`${handled} of 16 signals were handled`);
});

test('the reader of its log goes away: the agent continues to count and ends cleanly', liveTest(), async () => {
  const agent = await startAgent();
  agent.process.stderr?.destroy();
  // The agent logs the start and the stop of every VM.
  await assertCountsExactly(agent, 'no-reader-a');
  await assertCountsExactly(agent, 'no-reader-b');
  await agent.stop();
});

test('the disk with its log is full: the agent continues to count and ends cleanly', liveTest(), async () => {
  const instance = uniqueInstance();
  const port = await freePort();
  const full = openSync('/dev/full', 'w');
  const args = ['run', `--web.listen-address=127.0.0.1:${port}`, `--tracefs.instance=${instance}`];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', full] });
  closeSync(full);
  const ended = once(child, 'close');
  const forget = endLater(() => killAndRemoveInstance(child, instance));
  const scrape = () => fetch(`http://127.0.0.1:${port}/metrics`).then((answer) => answer.text());
  const until = async (isReached: (exits: number) => boolean) => {
    for (const deadline = Date.now() + HANG_MS; ; await sleep(50)) {
      const text = await scrape().catch(() => '');
      if (text !== '' && isReached(ioExits(new Samples(text), 'unwritten'))) return;
      assert.ok(child.exitCode === null && Date.now() < deadline, `exit code ${child.exitCode}: ${text}`);
    }
  };
  await until(() => true);
  const guest = startGuest({ name: 'unwritten', steps: [...UNTIL_KNOWN, ...writesInAll(PORT_WRITES)] });
  await until((exits) => exits > 0);
  guest.goOn();
  await guest.finished();
  await until((exits) => exits === PORT_WRITES + 1);
  child.kill('SIGTERM');
  await ended;
  forget();
  assert.ok(!removeInstance(instance));
  assert.equal(child.exitCode, 0);
});

test('record ends cleanly although the readers of its output have gone away', liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'unread');
  const recorder = startProgram(['record', '-o', join(folder, 'recording'), '--duration=500ms']);
  recorder.process.stdout?.destroy();
  recorder.process.stderr?.destroy();
  await recorder.ended();
  assert.ok(!removeInstance(recorder.instance));
  assert.equal(recorder.process.exitCode, 0);
  assert.doesNotThrow(() => reportOf(join(folder, 'recording')));
});
