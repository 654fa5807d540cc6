/** Files of other users beside those of a VM, in a folder that all may write to. */
import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, chownSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import type { FakeProcess } from '../support/agent/proc-tree.js';
import { needs } from '../support/requirements.js';
import { type FollowedTraces, followTraces } from '../support/trace/followed-traces.js';

const VICTIM = 1000;
const EVIL = 65_534;
const PID = 4000;
const line = (tid: number) => `${tid}@1.0:kvm_run_exit cpu_index 0, reason 2\n`;

const victim = (log: string): FakeProcess => ({
  pid: PID,
  comm: 'qemu-system-x86',
  uid: VICTIM,
  startTime: 7,
  args: ['/usr/bin/qemu-system-x86_64', '-name', 'guest=vm-b'],
  threads: [{ tid: PID + 1, comm: 'CPU 0/KVM', startTime: 7 }],
  descriptors: [log],
});

/** A VM of one user, which has its log open. */
function follow(t: TestContext): { traces: FollowedTraces; log: string } {
  const traces = followTraces(t, {
    log: '*.log',
    before(folder, proc) {
      chmodSync(folder, 0o1777);
      writeOwned(join(folder, 'vm-b.log'), VICTIM, '');
      proc.put(victim(join(folder, 'vm-b.log')));
    },
  });
  return { traces, log: join(traces.folder, 'vm-b.log') };
}

function writeOwned(path: string, uid: number, text: string): void {
  writeFileSync(path, text);
  chownSync(path, uid, uid);
}

function runExits({ qemuEvents }: Snapshot): Record<string, number> {
  return Object.fromEntries([...qemuEvents].map(({ vm, count }) => [vm, count]));
}

test("another user's file does not count for a VM, whatever its name and its threads", needs('root'), async (t) => {
  const { traces, log } = follow(t);
  appendFileSync(log, line(PID + 1).repeat(3));
  for (const name of ['evil.log', 'vm-b.log.log']) writeOwned(join(traces.folder, name), EVIL, line(PID + 1).repeat(5));
  assert.deepEqual(runExits(await traces.until(13)), { 'vm-b': 3, '': 10 });
});

test("another user's file in the place of a VM's log does not count for the VM", needs('root'), async (t) => {
  const { traces, log } = follow(t);
  appendFileSync(log, line(PID + 1).repeat(3));
  assert.deepEqual(runExits(await traces.until(3)), { 'vm-b': 3 });
  rmSync(log);
  // A real link of /proc still leads to the removed file.
  traces.proc.put(victim(`${log} (deleted)`));
  writeOwned(log, EVIL, line(PID + 1).repeat(5));
  assert.deepEqual(runExits(await traces.until(8)), { 'vm-b': 3, '': 5 });
});

test(
  "another user's file that had the name of a VM's log for a while does not count for the VM",
  needs('root'),
  async (t) => {
    const { traces, log } = follow(t);
    const [own, foreign] = [`${log}.own`, `${log}.foreign`];
    // A real link of /proc leads to the same file under any name.
    traces.proc.put(victim(own));
    renameSync(log, own);
    writeOwned(log, EVIL, line(1));
    await traces.until(1);
    renameSync(log, foreign);
    renameSync(own, log);
    traces.proc.put(victim(log));
    await sleep(1000);
    appendFileSync(foreign, line(PID + 1).repeat(5));
    appendFileSync(log, line(PID + 1).repeat(3));
    assert.deepEqual(runExits(await traces.until(9)), { 'vm-b': 3, '': 6 });
  },
);
