/** /proc changes while the agent reads it: processes, threads and VMs start and end all the time. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { reportOf } from '../../support/agent/run-agent.js';
import { removeInstance, startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { assertCountsExactly, ioExits, PORT_WRITES, waitForLog } from '../../support/guest/agent-checks.js';
import { runShortLivedGuests, startProcessChurn } from '../../support/guest/churn.js';
import { liveTest } from '../../support/guest/live-test.js';
import { startGuest } from '../../support/guest/start-guest.js';
import { startProgram } from '../../support/guest/start-program.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

afterEach(endAll);

test('VMs and processes start and end all the time: every exit is counted exactly once', liveTest(), async () => {
  const agent = await startAgent();
  const stopChurn = startProcessChurn();
  const isSeen = (name: string) => agent.scrapeUntil(name, (now) => ioExits(now, name) > 0);
  const names = await runShortLivedGuests('churn', 2, isSeen);
  await stopChurn();
  const samples = await agent.scrapeUntil('the exits of all guests', (now) =>
    names.every((name) => ioExits(now, name) >= PORT_WRITES + 1),
  );
  for (const name of names) assert.equal(ioExits(samples, name), PORT_WRITES + 1);
  assert.equal(samples.sum('kvm_exit_exporter_malformed_total'), 0);
  await agent.stop();
});

test('the same while record runs: the processes that it saves name every VM', liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'churn');
  const recorder = startProgram(['record', '-o', join(folder, 'recording')]);
  await waitForLog(recorder, 'msg=recording');
  const stopChurn = startProcessChurn();
  // It looks for VMs four times a second, and says what it found only at its end.
  const names = await runShortLivedGuests('recorded', 1, () => sleep(3000));
  await stopChurn();
  recorder.process.kill('SIGINT');
  await recorder.ended();
  assert.ok(!removeInstance(recorder.instance));
  assert.equal(recorder.process.exitCode, 0);
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

/** Files of a process that the agent reads. Copies of real ones make a /proc whose folders can vanish at any moment. */
const PROCESS_FILES = ['cmdline', 'comm', 'cgroup', 'stat', 'status'];

test(
  'files of /proc vanish between listing and reading or are cut short: the agent continues to serve',
  liveTest(),
  async (t) => {
    const procfs = temporaryFolder(t, 'vanishing-proc');
    writeFileSync(join(procfs, 'loadavg'), '0.1 0.1 0.1 1/100 400\n');
    const guest = startGuest({ name: 'model', steps: [{ forever: { out: 0x80 } }] });
    const model = temporaryFolder(t, 'model-proc');
    await sleep(300);
    const tid = String(guest.pid);
    mkdirSync(join(model, 'task', tid), { recursive: true });
    for (const file of PROCESS_FILES) {
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
    await sleep(2500); // long enough for a scan while there is no /proc
    mkdirSync(procfs);
    await agent.scrapeUntil('no VMs', (samples) => samples.of('kvm_vm_info').length === 0);
    assert.doesNotMatch(agent.log(), /^ +at /m);
    await agent.stop();
  },
);

test('exits of a VM that is not in /proc are counted under an empty name', liveTest(), async (t) => {
  const procfs = temporaryFolder(t, 'empty-proc');
  // Without the directory of any process the agent would not start.
  mkdirSync(join(procfs, '1'));
  const agent = await startAgent({ args: [`--path.procfs=${procfs}`] });
  await startGuest({ name: 'unseen', steps: [{ out: 0x80, times: PORT_WRITES }] }).finished();
  await agent.scrapeUntil('exits without a name', (samples) => ioExits(samples, '') >= PORT_WRITES + 1);
  assert.equal(ioExits(await agent.scrape(), 'unseen'), 0);
  await agent.stop();
});

test('the agent starts while VMs start and end', liveTest(), async () => {
  const guests = [0, 1].map((index) => startGuest({ name: `early-${index}`, steps: [{ forever: { out: 0x80 } }] }));
  const starting = startAgent();
  for (const guest of guests) {
    await sleep(150 * Math.random());
    await guest.kill();
  }
  const agent = await starting;
  await assertCountsExactly(agent, 'early');
  await agent.stop();
});
