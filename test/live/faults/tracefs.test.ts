/** Somebody takes the kernel's trace away while the agent reads it. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { removeInstance, startAgent, TRACEFS, tracingInstances, uniqueInstance } from '../../support/agent/agent.js';
import { endAll, endLater } from '../../support/end-later.js';
import {
  assertCountsExactly,
  ioExits,
  isUp,
  killed,
  liveTest,
  PORT_WRITES,
  says,
} from '../../support/guest/agent-checks.js';
import { MAIN } from '../../support/paths.js';

afterEach(endAll);

/** A mount namespace of its own: what is unmounted there stays mounted for all others. */
const OWN_MOUNTS = ['unshare', '--mount'];

function inMountsOf(pid: number | undefined, command: string, ...args: string[]): void {
  execFileSync('nsenter', [`--target=${pid}`, '--mount', command, ...args]);
}

test('tracefs unmounted: it is mounted again, and counting goes on', liveTest(), async () => {
  const agent = await startAgent({ prefix: OWN_MOUNTS });
  await assertCountsExactly(agent, 'before-umount');
  inMountsOf(agent.process.pid, 'umount', '--lazy', '--all-targets', TRACEFS);
  await says(agent, /level=warn msg=waiting err=.*tracing[\s\S]*msg="reading kernel trace"/);
  await assertCountsExactly(agent, 'after-umount');
  assert.equal(ioExits(await agent.scrape(), 'before-umount'), PORT_WRITES + 1);
  await agent.stop();
});

test('tracefs unmounted just before the end: the instance goes all the same', liveTest(), async () => {
  const agent = await startAgent({ prefix: OWN_MOUNTS });
  inMountsOf(agent.process.pid, 'umount', '--lazy', '--all-targets', TRACEFS);
  await agent.stop();
});

test('tracefs unmounted that was named by a flag: source_up 0 until it is back', liveTest(), async () => {
  const agent = await startAgent({ prefix: OWN_MOUNTS, args: [`--path.tracefs=${TRACEFS}`] });
  inMountsOf(agent.process.pid, 'umount', '--lazy', TRACEFS);
  await agent.scrapeUntil('down', (samples) => !isUp(samples), 20_000);
  await says(agent, /level=warn msg=waiting err=.*no tracefs there/);
  inMountsOf(agent.process.pid, 'mount', '-t', 'tracefs', 'nodev', TRACEFS);
  await agent.scrapeUntil('up again', isUp, 20_000);
  await assertCountsExactly(agent, 'mounted-again');
  await agent.stop();
});

test('tracefs unmounted while it records: it says so, and the instance goes all the same', liveTest(), async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'unmounted-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const instance = uniqueInstance();
  const args = ['record', '-o', join(folder, 'recording'), `--tracefs.instance=${instance}`];
  const child = spawn('unshare', ['--mount', process.execPath, MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const isEnded = endLater(() => killed(child, instance));
  let log = '';
  child.stderr.on('data', (text) => {
    log += text;
    if (/msg=recording/.test(text)) inMountsOf(child.pid, 'umount', '--lazy', '--all-targets', TRACEFS);
  });
  await once(child, 'close');
  isEnded();
  assert.ok(!removeInstance(instance));
  assert.equal(child.exitCode, 2, log);
  assert.match(log, new RegExp(`^kvm-exit-exporter: ${TRACEFS}/instances/${instance}/.*: no such file$`, 'm'));
});

test('its instance removed under it: the kernel refuses, and nothing is lost', liveTest(), async () => {
  const agent = await startAgent();
  assert.throws(() => rmdirSync(join(TRACEFS, 'instances', agent.instance)), { code: 'EBUSY' });
  await assertCountsExactly(agent, 'not-removed');
  await agent.stop();
});

for (const file of ['events/kvm/enable', 'tracing_on'])
  test(`somebody writes 0 to ${file} of its instance: noticed, said, switched on again`, liveTest(), async () => {
    const agent = await startAgent();
    await assertCountsExactly(agent, 'before-off');
    writeFileSync(join(TRACEFS, 'instances', agent.instance, file), '0');
    await says(agent, /level=warn msg=waiting err="the events of our tracing instance were switched off/);
    await agent.scrapeUntil('up again', isUp);
    await assertCountsExactly(agent, 'after-on');
    assert.equal(ioExits(await agent.scrape(), 'before-off'), PORT_WRITES + 1);
    await agent.stop();
  });

test('somebody reads its instance for a moment when it ends: it waits for him', liveTest(), async () => {
  const agent = await startAgent();
  const other = openSync(join(TRACEFS, 'instances', agent.instance, 'trace_pipe'), 'r');
  setTimeout(() => closeSync(other), 400);
  const startMs = performance.now();
  await agent.stop();
  assert.ok(performance.now() - startMs >= 400);
});

test('somebody reads its instance when it ends: it says what stays, and how to remove it', liveTest(), async () => {
  const agent = await startAgent();
  const folder = join(TRACEFS, 'instances', agent.instance);
  const other = openSync(join(folder, 'trace_pipe'), 'r');
  try {
    agent.process.kill('SIGTERM');
    await new Promise((resolve) => agent.process.once('close', resolve));
    assert.equal(agent.process.exitCode, 2, agent.log());
    assert.match(agent.log(), new RegExp(`^kvm-exit-exporter: ${folder}: .*rmdir ${folder}$`, 'm'));
    assert.doesNotMatch(agent.log(), /^ +at /m);
    assert.ok(tracingInstances().includes(agent.instance));
  } finally {
    closeSync(other);
  }
  // It records nothing any more; the next start takes it over.
  const next = await startAgent({ instance: agent.instance });
  await assertCountsExactly(next, 'taken-over');
  await next.stop();
});

const TOP_LEVEL = ['--tracefs.reader=text', '--no-tracefs.markers', '--tracefs.consume-top-level'];

test('somebody reads the top-level buffer that it shall read: one line, and no instance is left', liveTest(), () => {
  const instance = uniqueInstance();
  const other = openSync(join(TRACEFS, 'trace_pipe'), 'r');
  try {
    const args = ['run', '--web.listen-address=127.0.0.1:0', `--tracefs.instance=${instance}`, ...TOP_LEVEL];
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 20_000 });
    const left = removeInstance(instance);
    assert.match(stderr, /^kvm-exit-exporter: .*trace_pipe: in use by another program/m);
    assert.doesNotMatch(stderr, /^ +at /m);
    assert.deepEqual({ status, left }, { status: 2, left: false });
  } finally {
    closeSync(other);
  }
});

test(
  'somebody reads the top-level buffer for a while, beside logs: it is read once they have ended',
  liveTest(),
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'logs-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const other = openSync(join(TRACEFS, 'trace_pipe'), 'r');
    const agent = await startAgent({ args: [...TOP_LEVEL, `--qemu.log=${folder}/*.log`] });
    await says(agent, /level=warn msg=waiting err=.*trace_pipe/);
    closeSync(other);
    await says(agent, /msg="reading QEMU's markers from the top-level buffer/);
    await assertCountsExactly(agent, 'beside-markers');
    await agent.stop();
  },
);
