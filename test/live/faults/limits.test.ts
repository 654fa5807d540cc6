/** The agent runs out of file descriptors, memory or address space. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runAgentToEnd, startAgent, tracingInstances, uniqueInstance } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import {
  assertCountsExactly,
  ioExits,
  isReadingTracefs,
  waitForLog,
  warningsIn,
} from '../../support/guest/agent-checks.js';
import { liveTest } from '../../support/guest/live-test.js';
import { createMemoryCgroup, needsMemoryCgroup } from '../../support/guest/memory-cgroup.js';
import { startGuest } from '../../support/guest/start-guest.js';
import { allOf } from '../../support/requirements.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

afterEach(endAll);

const limit = (name: string, value: number | string) => ['prlimit', `--${name}=${value}`];
const openFiles = (pid: number | undefined) => readdirSync(`/proc/${pid}/fd`).length;

const MAX_FILES = 256;

test(
  'fewer file descriptors than loading the program needs: one line names the limit to raise',
  liveTest('prlimit'),
  async () => {
    for (const files of [40, 80, 120, 159]) {
      const { code, stderr } = await runAgentToEnd([], limit('nofile', files));
      assert.equal(code, 2, `${files} files: ${stderr}`);
      assert.match(
        stderr,
        /^kvm-exit-exporter: too many open files: .* raise the limit with ulimit -n\n$/,
        `${files} files`,
      );
    }
  },
);

test(
  'more logs than file descriptors: a share of them is followed, and scrapes go on',
  liveTest('prlimit'),
  async (t) => {
    const folder = temporaryFolder(t, 'many-logs');
    for (let log = 0; log < MAX_FILES * 2; log++) writeFileSync(join(folder, `${log}.log`), '');
    const agent = await startAgent({ args: [`--qemu.log=${folder}/*.log`], prefix: limit('nofile', MAX_FILES) });
    await waitForLog(agent, /32 such files are open already/);
    await agent.stop();
    assert.match(agent.log(), /32 such files are open already, and .* is not; raise the limit with ulimit -n/);
    assert.equal(agent.log().match(/cannot follow QEMU's traces/g)?.length, 1);
  },
);

const IDLE_CONNECTIONS = 400;

test(
  'more connections than file descriptors: scrapes and counts continue, and no VM is reported as stopped',
  liveTest('prlimit'),
  async () => {
    const agent = await startAgent({ prefix: limit('nofile', MAX_FILES) });
    const guest = startGuest({ name: 'long-runner', steps: [{ forever: { out: 0x80 } }] });
    await agent.scrapeUntil('long-runner', (samples) => ioExits(samples, 'long-runner') > 0);
    const { port } = new URL(agent.url);
    const sockets: Socket[] = [];
    for (let opened = 0; opened < IDLE_CONNECTIONS; opened++) {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => {});
      await once(socket, 'connect');
      socket.write('GET /metrics HTTP/1.1\r\n'); // the rest of the request never follows
      sockets.push(socket);
    }
    await assertCountsExactly(agent, 'among-many');
    await sleep(4500); // two scans of /proc and two checks of the tracing instance
    assert.ok(openFiles(agent.process.pid) < MAX_FILES);
    const before = ioExits(await agent.scrape(), 'long-runner');
    await agent.scrapeUntil('more exits', (samples) => ioExits(samples, 'long-runner') > before);
    assert.doesNotMatch(agent.log(), /"VM stopped" vm=long-runner/);
    assert.deepEqual(warningsIn(agent.log()), []);
    for (const socket of sockets) socket.destroy();
    await guest.kill();
    await agent.stop();
  },
);

test(
  'no file descriptor left while the agent runs: nothing is lost, and it recovers once there are some',
  liveTest('prlimit'),
  async () => {
    const agent = await startAgent();
    const guest = startGuest({ name: 'files-gone', steps: [{ forever: { out: 0x80 } }] });
    await agent.scrapeUntil('files-gone', (samples) => ioExits(samples, 'files-gone') > 0);
    const response = await fetch(agent.url); // opens a connection that stays alive for later scrapes
    await response.text();
    const files = openFiles(agent.process.pid);
    const setLimit = (count: number) => execFileSync('prlimit', [`--pid=${agent.process.pid}`, `--nofile=${count}:`]);
    setLimit(Math.floor(files / 2));
    await waitForLog(agent, /level=warn msg=waiting err="files of processes: too many open files/);
    await sleep(4500);
    setLimit(1024);
    assert.doesNotMatch(agent.log(), /"VM stopped" vm=files-gone/);
    await guest.kill();
    const samples = await agent.scrapeUntil(
      'all exits',
      (now) => Math.abs(ioExits(now, 'files-gone') - guest.writesDone()) <= 1,
    );
    assert.ok(isReadingTracefs(samples));
    assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
    await assertCountsExactly(agent, 'with-files-again');
    await agent.stop();
  },
);

test('no memory for the ring buffers: the agent ends and says what to do', liveTest(), async () => {
  const instance = uniqueInstance();
  // More memory than any machine has. The kernel checks that before it allocates any.
  const { code, stderr } = await runAgentToEnd([`--tracefs.instance=${instance}`, '--tracefs.buffer-size=4096GiB']);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /^kvm-exit-exporter: .*no memory for the buffers; give a smaller --tracefs.buffer-size\n$/);
  assert.ok(!tracingInstances().includes(instance));
});

test(
  'address space runs out while the agent runs: Node.js aborts, and the next start takes over its instance',
  liveTest('prlimit'),
  async () => {
    const agent = await startAgent();
    execFileSync('prlimit', [`--pid=${agent.process.pid}`, '--as=1048576']);
    const ended = once(agent.process, 'close');
    let died = false;
    void ended.then(() => {
      died = true;
    });
    for (let scrapes = 0; scrapes < 200 && !died; scrapes++) await agent.scrape().catch(() => {});
    agent.process.kill('SIGKILL'); // in case that it did not need more address space
    await ended;
    const next = await startAgent({ instance: agent.instance });
    await assertCountsExactly(next, 'after-no-memory');
    await next.stop();
  },
);

const MEMORY_BYTES = 256 << 20;

test(
  'another process uses up the memory of the cgroup: the kernel kills the agent, and the next start takes over',
  allOf(liveTest(), needsMemoryCgroup()),
  async () => {
    const cgroup = createMemoryCgroup(MEMORY_BYTES);
    const agent = await startAgent({ prefix: cgroup.prefix });
    await assertCountsExactly(agent, 'within-its-memory');
    await cgroup.exhaust(once(agent.process, 'close'));
    assert.equal(agent.process.signalCode, 'SIGKILL');
    assert.ok(tracingInstances().includes(agent.instance));
    const next = await startAgent({ instance: agent.instance });
    await assertCountsExactly(next, 'after-no-memory');
    await next.stop();
  },
);
