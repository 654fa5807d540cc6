/** The agent does not get what it asks the system for: file descriptors, memory, address space. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runAgentToEnd, startAgent, tracingInstances, uniqueInstance } from '../../support/agent/agent.js';
import { endAll } from '../../support/end-later.js';
import { assertCountsExactly, ioExits, isUp, liveTest, PORT_WRITES } from '../../support/guest/agent-checks.js';
import { memoryGroup, needsMemoryCgroup } from '../../support/guest/memory-cgroup.js';
import { startGuest } from '../../support/guest/start-guest.js';

afterEach(endAll);

const limit = (name: string, value: number | string) => ['prlimit', `--${name}=${value}`];
const filesOf = (pid: number | undefined) => readdirSync(`/proc/${pid}/fd`).length;

const FILES = 256;

test(
  'fewer file descriptors than it takes to load the program: one line says which limit to raise',
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
  'too few file descriptors to start: one line says so, and nothing is left behind',
  liveTest('prlimit'),
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'many-logs-'));
    t.after(() => rmSync(folder, { recursive: true }));
    for (let log = 0; log < FILES; log++) writeFileSync(join(folder, `${log}.log`), '');
    const instance = uniqueInstance();
    const args = [`--tracefs.instance=${instance}`, `--qemu.log=${folder}/*.log`];
    const { code, stderr } = await runAgentToEnd(args, limit('nofile', FILES));
    assert.equal(code, 2, stderr);
    assert.match(stderr, /^kvm-exit-exporter: .*too many open files.*ulimit -n.*$/m);
    assert.doesNotMatch(stderr, /^ +at /m);
    assert.ok(!tracingInstances().includes(instance));
  },
);

const HANGERS_ON = 400;

test(
  'more connections than file descriptors: scrapes and counts go on, no VM is taken for gone',
  liveTest('prlimit'),
  async () => {
    const agent = await startAgent({ prefix: limit('nofile', FILES) });
    const guest = startGuest({ name: 'long-runner', steps: [{ forever: { out: 0x80 } }] });
    await agent.scrapeUntil('long-runner', (samples) => ioExits(samples, 'long-runner') > 0);
    const { port } = new URL(agent.url);
    const sockets: Socket[] = [];
    for (let opened = 0; opened < HANGERS_ON; opened++) {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => {});
      await once(socket, 'connect');
      socket.write('GET /metrics HTTP/1.1\r\n'); // and never the rest
      sockets.push(socket);
    }
    await assertCountsExactly(agent, 'among-many');
    await sleep(4500); // two scans, and two looks at the instance
    assert.ok(filesOf(agent.process.pid) < FILES);
    const before = ioExits(await agent.scrape(), 'long-runner');
    await agent.scrapeUntil('it still counts', (samples) => ioExits(samples, 'long-runner') > before);
    assert.doesNotMatch(agent.log(), /"VM stopped" vm=long-runner|level=warn/);
    for (const socket of sockets) socket.destroy();
    await guest.kill();
    await agent.stop();
  },
);

test(
  'no file descriptor left while it runs: nothing ends, and all is as before once there are some',
  liveTest('prlimit'),
  async () => {
    const agent = await startAgent();
    const guest = startGuest({ name: 'files-gone', steps: [{ forever: { out: 0x80 } }] });
    await agent.scrapeUntil('files-gone', (samples) => ioExits(samples, 'files-gone') > 0);
    const connection = await fetch(agent.url); // kept alive, so that it can be asked on
    await connection.text();
    const files = filesOf(agent.process.pid);
    const setLimit = (count: number) => execFileSync('prlimit', [`--pid=${agent.process.pid}`, `--nofile=${count}:`]);
    setLimit(Math.floor(files / 2));
    await sleep(4500);
    setLimit(1024);
    assert.match(agent.log(), /level=warn msg=waiting err="files of processes: too many open files/);
    assert.doesNotMatch(agent.log(), /"VM stopped" vm=files-gone/);
    await guest.kill();
    const samples = await agent.scrapeUntil(
      'all of it',
      (now) => Math.abs(ioExits(now, 'files-gone') - guest.rounds()) <= 1,
    );
    assert.ok(isUp(samples));
    assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
    await assertCountsExactly(agent, 'with-files-again');
    await agent.stop();
  },
);

test('no memory for the buffers: the kernel refuses, and it says what to do', liveTest(), async () => {
  const instance = uniqueInstance();
  // More than any machine has: the kernel looks before it takes any.
  const { code, stderr } = await runAgentToEnd([`--tracefs.instance=${instance}`, '--tracefs.buffer-size=4096GiB']);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /^kvm-exit-exporter: .*no memory for the buffers; give a smaller --tracefs.buffer-size\n$/);
  assert.ok(!tracingInstances().includes(instance));
});

test(
  'address space used up while it runs: it dies as by kill -9, and the next start takes over',
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
    agent.process.kill('SIGKILL'); // where it could do without more
    await ended;
    const next = await startAgent({ instance: agent.instance });
    await assertCountsExactly(next, 'after-no-memory', PORT_WRITES);
    await next.stop();
  },
);

const MEMORY = 256 << 20;

test("its cgroup's memory used up by a neighbour while it runs: the kernel kills it, and the next start takes over", {
  ...liveTest(),
  skip: liveTest().skip || needsMemoryCgroup().skip,
}, async () => {
  const group = memoryGroup(MEMORY);
  const agent = await startAgent({ prefix: group.prefix });
  await assertCountsExactly(agent, 'within-its-memory');
  await group.exhaust(once(agent.process, 'close'));
  assert.equal(agent.process.signalCode, 'SIGKILL');
  assert.ok(tracingInstances().includes(agent.instance));
  const next = await startAgent({ instance: agent.instance });
  await assertCountsExactly(next, 'after-no-memory');
  await next.stop();
});
