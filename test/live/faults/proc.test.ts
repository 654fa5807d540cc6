/** /proc changes while it is read: processes, threads and VMs begin and end all the time. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeInstance, startAgent, uniqueInstance } from '../../support/agent/agent.js';
import { reportOf } from '../../support/agent/run-agent.js';
import { endAll, endLater } from '../../support/end-later.js';
import { assertCountsExactly, ioExits, killed, liveTest, PORT_WRITES } from '../../support/guest/agent-checks.js';
import { runShortLivedGuests, startProcessChurn } from '../../support/guest/churn.js';
import { startGuest } from '../../support/guest/start-guest.js';
import { MAIN } from '../../support/paths.js';

afterEach(endAll);

test('VMs and other processes start and end all the time: every exit is counted, none twice', liveTest(), async () => {
  const agent = await startAgent();
  const stopStorm = startProcessChurn();
  const names = await runShortLivedGuests('storm', 2);
  await stopStorm();
  const samples = await agent.scrapeUntil('all of them', (now) =>
    names.every((name) => ioExits(now, name) >= PORT_WRITES + 1),
  );
  for (const name of names) assert.equal(ioExits(samples, name), PORT_WRITES + 1);
  assert.equal(samples.sum('kvm_exit_exporter_malformed_total'), 0);
  await agent.stop();
});

test('the same while it records: what it saves of /proc names them all', liveTest(), async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'storm-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const instance = uniqueInstance();
  const args = ['record', '-o', join(folder, 'recording'), `--tracefs.instance=${instance}`];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close');
  const isEnded = endLater(() => killed(child, instance));
  await once(child.stderr, 'data'); // it records
  const stopStorm = startProcessChurn();
  const names = await runShortLivedGuests('taped', 1);
  await stopStorm();
  child.kill('SIGINT');
  await ended;
  isEnded();
  assert.ok(!removeInstance(instance));
  assert.equal(child.exitCode, 0);
  const { exits } = reportOf(join(folder, 'recording'));
  for (const name of names) {
    const own = exits.filter(({ vm, reason }) => vm === name && reason === 'KVM_EXIT_IO');
    assert.deepEqual(
      own.map(({ count }) => count),
      [PORT_WRITES + 1],
      name,
    );
  }
});

/** What the agent reads of a process, taken from this one: real files, whose folder can be taken away at any moment. */
const OF_PROCESS = ['cmdline', 'comm', 'cgroup', 'stat', 'status'];

test(
  'files of /proc vanish between listing and reading, or have only half of their text: it serves on',
  liveTest(),
  async (t) => {
    const procfs = mkdtempSync(join(tmpdir(), 'vanishing-proc-'));
    t.after(() => rmSync(procfs, { recursive: true, force: true }));
    writeFileSync(join(procfs, 'loadavg'), '0.1 0.1 0.1 1/100 400\n');
    const guest = startGuest({ name: 'model', steps: [{ forever: { out: 0x80 } }] });
    const model = mkdtempSync(join(tmpdir(), 'model-proc-'));
    t.after(() => rmSync(model, { recursive: true }));
    await sleep(300);
    const tid = String(guest.pid);
    mkdirSync(join(model, 'task', tid), { recursive: true });
    for (const file of OF_PROCESS) {
      cpSync(`/proc/${guest.pid}/${file}`, join(model, file));
      if (file !== 'cmdline') cpSync(`/proc/${guest.pid}/${file}`, join(model, 'task', tid, file));
    }
    await guest.kill();
    for (let pid = 2; pid <= 60; pid++) cpSync(model, join(procfs, String(pid)), { recursive: true });
    const agent = await startAgent({ args: [`--path.procfs=${procfs}`, '--vm.grace-period=1s'] });
    const endMs = Date.now() + 3000;
    for (let round = 0; Date.now() < endMs; round++) {
      const folder = join(procfs, String(2 + (round % 59)));
      if (!existsSync(folder)) cpSync(model, folder, { recursive: true });
      else if (round % 3 === 0) rmSync(folder, { recursive: true });
      else if (round % 3 === 1)
        for (const file of readdirSync(folder).filter((name) => name !== 'task')) unlinkSync(join(folder, file));
      else writeFileSync(join(folder, 'stat'), `${2 + (round % 59)} (CPU 0`);
      if (round % 7 === 0)
        writeFileSync(join(procfs, 'loadavg'), round % 2 === 0 ? '' : `0.1 0.1 0.1 1/100 ${round}\n`);
      if (round % 50 === 0) await sleep(1);
      if (round % 500 === 0) await agent.scrape();
    }
    rmSync(procfs, { recursive: true });
    await sleep(2500); // a scan without any /proc
    mkdirSync(procfs);
    await agent.scrapeUntil('all gone', (samples) => samples.of('kvm_vm_info').length === 0);
    assert.doesNotMatch(agent.log(), /^ +at /m);
    await agent.stop();
  },
);

test(
  "/proc of the host has nothing to say of a VM: its exits are counted all the same, as nobody's",
  liveTest(),
  async (t) => {
    const procfs = mkdtempSync(join(tmpdir(), 'no-proc-'));
    t.after(() => rmSync(procfs, { recursive: true }));
    const agent = await startAgent({ args: [`--path.procfs=${procfs}`] });
    await startGuest({ name: 'unseen', steps: [{ out: 0x80, times: PORT_WRITES }] }).finished();
    await agent.scrapeUntil("as nobody's", (samples) => ioExits(samples, '') >= PORT_WRITES + 1);
    assert.equal(ioExits(await agent.scrape(), 'unseen'), 0);
    await agent.stop();
  },
);

test('it starts while VMs start and end', liveTest(), async () => {
  const killed = [0, 1].map((index) => startGuest({ name: `early-${index}`, steps: [{ forever: { out: 0x80 } }] }));
  const starting = startAgent();
  for (const guest of killed) {
    await sleep(150 * Math.random());
    await guest.kill();
  }
  const agent = await starting;
  await assertCountsExactly(agent, 'early');
  await agent.stop();
});
