/**
 * Another program unmounts tracefs or reads the same buffers while the agent runs. tampering.test.ts has what it may do
 * to the settings of the agent's instance.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import {
  removeInstance,
  startAgent,
  TRACEFS,
  tracingInstances,
  uniqueInstance,
} from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import {
  assertCountsExactly,
  ioExits,
  isReadingTracefs,
  PORT_WRITES,
  waitForLog,
} from '../../support/guest/agent-checks.js';
import { liveTest } from '../../support/guest/live-test.js';
import { startProgram } from '../../support/guest/start-program.js';
import { MAIN } from '../../support/paths.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

afterEach(endAll);

/** Command prefix: a mount namespace, so that an unmount does not affect other programs. */
const OWN_MOUNTS = ['unshare', '--mount'];

function inMountsOf(pid: number | undefined, command: string, ...args: string[]): void {
  execFileSync('nsenter', [`--target=${pid}`, '--mount', command, ...args]);
}

test('tracefs is unmounted: the agent mounts it again and continues to count', liveTest(), async () => {
  const agent = await startAgent({ prefix: OWN_MOUNTS });
  await assertCountsExactly(agent, 'before-umount');
  inMountsOf(agent.process.pid, 'umount', '--lazy', '--all-targets', TRACEFS);
  await waitForLog(agent, /level=warn msg=waiting err=.*tracing[\s\S]*msg="reading kernel trace"/);
  await assertCountsExactly(agent, 'after-umount');
  assert.equal(ioExits(await agent.scrape(), 'before-umount'), PORT_WRITES + 1);
  await agent.stop();
});

test('tracefs is unmounted just before the agent ends: the instance is removed all the same', liveTest(), async () => {
  const agent = await startAgent({ prefix: OWN_MOUNTS });
  inMountsOf(agent.process.pid, 'umount', '--lazy', '--all-targets', TRACEFS);
  await agent.stop();
});

test('tracefs named by --path.tracefs is unmounted: source_up is 0 until it is mounted again', liveTest(), async () => {
  const agent = await startAgent({ prefix: OWN_MOUNTS, args: [`--path.tracefs=${TRACEFS}`] });
  inMountsOf(agent.process.pid, 'umount', '--lazy', TRACEFS);
  await agent.scrapeUntil('source_up 0', (samples) => !isReadingTracefs(samples));
  await waitForLog(agent, /level=warn msg=waiting err=.*no tracefs there/);
  inMountsOf(agent.process.pid, 'mount', '-t', 'tracefs', 'nodev', TRACEFS);
  await agent.scrapeUntil('source_up 1', isReadingTracefs);
  await assertCountsExactly(agent, 'mounted-again');
  await agent.stop();
});

test('tracefs is unmounted while record runs: it reports that, and the instance is removed', liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'unmounted');
  const recorder = startProgram(['record', '-o', join(folder, 'recording')], { prefix: OWN_MOUNTS });
  await waitForLog(recorder, 'msg=recording');
  inMountsOf(recorder.process.pid, 'umount', '--lazy', '--all-targets', TRACEFS);
  await recorder.ended();
  const { instance } = recorder;
  assert.ok(!removeInstance(instance));
  assert.equal(recorder.process.exitCode, 2, recorder.log());
  assert.match(
    recorder.log(),
    new RegExp(`^kvm-exit-exporter: ${TRACEFS}/instances/${instance}/.*: no such file$`, 'm'),
  );
});

test('another program removes the instance: the kernel refuses, and nothing is lost', liveTest(), async () => {
  const agent = await startAgent();
  assert.throws(() => rmdirSync(join(TRACEFS, 'instances', agent.instance)), { code: 'EBUSY' });
  await assertCountsExactly(agent, 'not-removed');
  await agent.stop();
});

test('the agent ends while another program reads the instance for a moment: it waits', liveTest(), async () => {
  const agent = await startAgent();
  const reader = openSync(join(TRACEFS, 'instances', agent.instance, 'trace_pipe'), 'r');
  setTimeout(() => closeSync(reader), 400);
  const startMs = performance.now();
  await agent.stop();
  assert.ok(performance.now() - startMs >= 400);
});

test('the agent ends while another program reads the instance: it says how to remove it', liveTest(), async () => {
  const agent = await startAgent();
  const folder = join(TRACEFS, 'instances', agent.instance);
  const reader = openSync(join(folder, 'trace_pipe'), 'r');
  try {
    agent.process.kill('SIGTERM');
    await new Promise((resolve) => agent.process.once('close', resolve));
    assert.equal(agent.process.exitCode, 2, agent.log());
    assert.match(agent.log(), new RegExp(`^kvm-exit-exporter: ${folder}: .*rmdir ${folder}$`, 'm'));
    assert.doesNotMatch(agent.log(), /^ +at /m);
    assert.ok(tracingInstances().includes(agent.instance));
  } finally {
    closeSync(reader);
  }
  // The events of the instance are off. The next start takes it over.
  const next = await startAgent({ instance: agent.instance });
  await assertCountsExactly(next, 'taken-over');
  await next.stop();
});

const TOP_LEVEL = ['--tracefs.reader=text', '--no-tracefs.markers', '--tracefs.consume-top-level'];

test('another program reads the top-level buffer: one line reports that, no instance is left', liveTest(), () => {
  const instance = uniqueInstance();
  const reader = openSync(join(TRACEFS, 'trace_pipe'), 'r');
  try {
    const args = ['run', '--web.listen-address=127.0.0.1:0', `--tracefs.instance=${instance}`, ...TOP_LEVEL];
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 300_000 });
    const left = removeInstance(instance);
    assert.match(stderr, /^kvm-exit-exporter: .*trace_pipe: in use by another program/m);
    assert.doesNotMatch(stderr, /^ +at /m);
    assert.deepEqual({ status, left }, { status: 2, left: false });
  } finally {
    closeSync(reader);
  }
});

test(
  'another program reads the top-level buffer for a while: an agent that also follows logs waits for the buffer',
  liveTest(),
  async (t) => {
    const folder = temporaryFolder(t, 'logs');
    const reader = openSync(join(TRACEFS, 'trace_pipe'), 'r');
    const agent = await startAgent({ args: [...TOP_LEVEL, `--qemu.log=${folder}/*.log`] });
    await waitForLog(agent, /level=warn msg=waiting err=.*trace_pipe/);
    closeSync(reader);
    await waitForLog(agent, /msg="reading QEMU's markers from the top-level buffer/);
    await assertCountsExactly(agent, 'beside-markers');
    await agent.stop();
  },
);
