/** A disk is full, or a file is gone from it. That it fills up while `record` runs is in record.test.ts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent, tracingInstances, uniqueInstance } from '../../support/agent/agent.js';
import { runAgent } from '../../support/agent/run-agent.js';
import { endAll } from '../../support/end-later.js';
import { ioExits, liveTest } from '../../support/guest/agent-checks.js';
import { type RunningGuest, startGuest } from '../../support/guest/start-guest.js';
import type { Samples } from '../../support/prometheus/samples.js';

afterEach(endAll);

const BYTES = 4 << 20;

/** A small file system of its own. */
function disk(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'full-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${BYTES}`, 'tmpfs', folder]);
  t.after(async () => {
    await endAll(); // who has files open there
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

const freeBytes = (folder: string) => {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
};
const inLog = (samples: Samples, vm: string) => samples.sum('qemu_trace_events_total', { vm, event: 'kvm_run_exit' });
/** Whole lines, with or without a process and a time before them. */
const linesIn = (log: string) => readFileSync(log, 'utf8').match(/^(\S+:)?kvm_run_exit .*\n/gm)?.length ?? 0;

test('record to a disk that is full already: one line says so, nothing is left behind', liveTest(), (t) => {
  const folder = disk(t);
  writeFileSync(join(folder, 'fills'), Buffer.alloc(BYTES));
  const instance = uniqueInstance();
  const args = ['--duration=1s', `--tracefs.instance=${instance}`];
  const { status, stdout, stderr } = runAgent('record', '-o', join(folder, 'recording'), ...args);
  assert.equal(status, 2, stderr);
  assert.match(stderr, /^kvm-exit-exporter: .*: no space left on the device\n$/m);
  assert.equal(stdout, '');
  assert.ok(!tracingInstances().includes(instance));
});

/** A guest that writes its log for ever, and an agent that follows it beside the kernel's trace. */
async function followed(folder: string, name: string): Promise<[RunningAgent, RunningGuest, string]> {
  const agent = await startAgent({ args: [`--qemu.log=${folder}/*.log`] });
  const log = join(folder, `${name}.log`);
  const extraArgs = ['-trace', 'kvm_run_exit', '-D', log];
  const guest = startGuest({ name, steps: [{ forever: { out: 0x80 } }], extraArgs });
  await agent.scrapeUntil('its log', (samples) => inLog(samples, name) > 1000);
  return [agent, guest, log];
}

test(
  "the disk with QEMU's log is full: what is in the log is counted, the kernel's counts go on",
  liveTest(),
  async (t) => {
    const folder = disk(t);
    const [agent, guest, log] = await followed(folder, 'full-log');
    for (let waits = 0; freeBytes(folder) > 0; waits++) {
      assert.ok(waits < 400, 'the disk does not fill up');
      await sleep(100);
    }
    const atFull = ioExits(await agent.scrape(), 'full-log');
    await agent.scrapeUntil('the kernel', (samples) => ioExits(samples, 'full-log') > atFull + 1000);
    const lines = linesIn(log);
    const samples = await agent.scrapeUntil('the log', (now) => inLog(now, 'full-log') >= lines);
    const counted = inLog(samples, 'full-log');
    assert.ok(counted - lines <= 1, `counted ${counted}, in the log ${lines}`); // a line that the end of the disk cuts
    assert.ok(inLog(samples, 'full-log') < ioExits(samples, 'full-log'));
    // Whoever runs the host makes room.
    truncateSync(log);
    await agent.scrapeUntil('it goes on', (now) => inLog(now, 'full-log') > lines + 1000);
    await guest.kill();
    const all = await agent.scrapeUntil('all of the kernel', (now) => ioExits(now, 'full-log') - guest.rounds() >= 0);
    assert.ok(ioExits(all, 'full-log') - guest.rounds() <= 1);
    await agent.stop();
  },
);

test("QEMU's log is removed while QEMU writes it: it is read on", liveTest(), async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'removed-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'logs'));
  const [agent, guest] = await followed(join(folder, 'logs'), 'no-log');
  rmSync(join(folder, 'logs'), { recursive: true });
  await sleep(1000);
  await guest.kill();
  // QEMU's log is behind the guest by nothing: it writes a line, then lets the guest go on.
  const samples = await agent.scrapeUntil('all of it', (now) => inLog(now, 'no-log') >= guest.rounds(), 20_000);
  assert.ok(inLog(samples, 'no-log') - guest.rounds() <= 1);
  assert.ok(ioExits(samples, 'no-log') - guest.rounds() <= 1);
  await agent.stop();
});
