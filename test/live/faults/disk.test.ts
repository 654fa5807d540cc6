/** Full disks and removed files. A disk that fills up while `record` runs is tested in record.test.ts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runAgent } from '../../support/agent/run-agent.js';
import { type RunningAgent, startAgent, tracingInstances, uniqueInstance } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { ioExits } from '../../support/guest/agent-checks.js';
import { liveTest } from '../../support/guest/live-test.js';
import { type RunningGuest, startGuest } from '../../support/guest/start-guest.js';
import type { Samples } from '../../support/prometheus/samples.js';

afterEach(endAll);

const DISK_BYTES = 4 << 20;

/** Mounts a small file system until the test ends. */
function mountDisk(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'full-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder]);
  t.after(async () => {
    await endAll(); // processes with open files on it
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

const freeBytes = (folder: string) => {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
};
const countedInLog = (samples: Samples, vm: string) =>
  samples.sum('qemu_trace_events_total', { vm, event: 'kvm_run_exit' });
/** Number of complete lines of kvm_run_exit, with or without a process id and a time before them. */
const linesIn = (log: string) => readFileSync(log, 'utf8').match(/^(\S+:)?kvm_run_exit .*\n/gm)?.length ?? 0;

test('record to a full disk: one line reports that, and nothing is left behind', liveTest(), (t) => {
  const folder = mountDisk(t);
  writeFileSync(join(folder, 'filler'), Buffer.alloc(DISK_BYTES));
  const instance = uniqueInstance();
  const args = ['--duration=1s', `--tracefs.instance=${instance}`];
  const { status, stdout, stderr } = runAgent('record', '-o', join(folder, 'recording'), ...args);
  assert.equal(status, 2, stderr);
  assert.match(stderr, /^kvm-exit-exporter: .*: no space left on the device\n$/m);
  assert.equal(stdout, '');
  assert.ok(!tracingInstances().includes(instance));
});

/** Starts a guest that writes a log without end, and an agent that reads this log and the kernel's trace. */
async function startLoggingGuest(folder: string, name: string): Promise<[RunningAgent, RunningGuest, string]> {
  const agent = await startAgent({ args: [`--qemu.log=${folder}/*.log`] });
  const log = join(folder, `${name}.log`);
  const extraArgs = ['-trace', 'kvm_run_exit', '-D', log];
  const guest = startGuest({ name, steps: [{ forever: { out: 0x80 } }], extraArgs });
  await agent.scrapeUntil('events from the log', (samples) => countedInLog(samples, name) > 1000);
  return [agent, guest, log];
}

test(
  "when the disk with QEMU's log is full, all lines in the log are counted and the kernel's counts continue",
  liveTest(),
  async (t) => {
    const folder = mountDisk(t);
    const [agent, guest, log] = await startLoggingGuest(folder, 'full-log');
    for (let waits = 0; freeBytes(folder) > 0; waits++) {
      assert.ok(waits < 1200, 'the disk does not fill up');
      await sleep(100);
    }
    const atFull = ioExits(await agent.scrape(), 'full-log');
    await agent.scrapeUntil('exits in the kernel trace', (samples) => ioExits(samples, 'full-log') > atFull + 1000);
    const lines = linesIn(log);
    const samples = await agent.scrapeUntil('all lines of the log', (now) => countedInLog(now, 'full-log') >= lines);
    const counted = countedInLog(samples, 'full-log');
    // The full disk may have cut the last line.
    assert.ok(counted - lines <= 1, `counted ${counted}, lines in the log ${lines}`);
    assert.ok(countedInLog(samples, 'full-log') < ioExits(samples, 'full-log'));
    // The operator makes room.
    truncateSync(log);
    await agent.scrapeUntil('more events from the log', (now) => countedInLog(now, 'full-log') > lines + 1000);
    await guest.kill();
    const written = guest.writesDone();
    const all = await agent.scrapeUntil('all exits in the kernel trace', (now) => ioExits(now, 'full-log') >= written);
    assert.ok(ioExits(all, 'full-log') - written <= 1);
    await agent.stop();
  },
);

test("QEMU's log is read to its end even if it is removed while QEMU writes it", liveTest(), async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'removed-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'logs'));
  const [agent, guest] = await startLoggingGuest(join(folder, 'logs'), 'no-log');
  rmSync(join(folder, 'logs'), { recursive: true });
  await sleep(1000);
  await guest.kill();
  // QEMU writes a line before the guest continues, so the log is never behind the guest.
  const written = guest.writesDone();
  const samples = await agent.scrapeUntil('the whole log', (now) => countedInLog(now, 'no-log') >= written);
  assert.ok(countedInLog(samples, 'no-log') - written <= 1);
  assert.ok(ioExits(samples, 'no-log') - written <= 1);
  await agent.stop();
});
