/** Which VM an exit belongs to, for VMMs that behave unlike QEMU. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { ioExits } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import {
  prepareSmallVmm,
  type SmallVmm,
  type SmallVmmOptions,
  startSmallVmm,
} from '../support/guest/start-small-vmm.js';
import { increaseIn, startReceiver } from '../support/prometheus/otlp-receiver.js';
import type { Samples } from '../support/prometheus/samples.js';
import { allOf, skipUnless } from '../support/requirements.js';

afterEach(endAll);

/** A VMM that stays longer than any test takes; it is killed. */
const LONG_US = 300_000_000;

/** The kernel gives the next process the id after this one. */
const LAST_PID = '/proc/sys/kernel/ns_last_pid';

test('a VMM that creates its VM in another thread than its first one is one VM', liveTest('gcc'), async () => {
  prepareSmallVmm();
  const agent = await startAgent();
  const names = Array.from({ length: 8 }, (_, index) => `other-thread-${index}`);
  for (const name of names) {
    const vmm = startSmallVmm(name, { exits: 30_000, endUs: LONG_US });
    await agent.scrapeUntil(`${name}: 30000`, (samples) => ioExits(samples, name) === 30_000);
    await vmm.kill();
  }
  const vms = (await agent.scrape()).of('kvm_vm_info').map(({ labels }) => labels.get('vm') ?? '');
  assert.deepEqual(vms.filter((vm) => vm.startsWith('other-thread')).sort(), names);
  assert.doesNotMatch(agent.log(), /VM started" vm="other-thread-\d \(/);
  await agent.stop();
});

test('exits of threads that live for some milliseconds count for their VM', liveTest('gcc'), async () => {
  prepareSmallVmm();
  const agent = await startAgent();
  const vmms = [
    startSmallVmm('brief', { exits: 50, threads: 200, comm: 'CPU 0/KVM', stayUs: LONG_US }),
    startSmallVmm('brief-unnamed', { exits: 20, threads: 500, stayUs: LONG_US }),
  ];
  const counts = (samples: Samples) => ['brief', 'brief-unnamed'].map((vm) => ioExits(samples, vm));
  // Counts of a vCPU whose number is not known are withheld for 5 s.
  await agent.scrapeUntil('all exits', (samples) => counts(samples).every((exits) => exits >= 10_000));
  assert.deepEqual(counts(await agent.scrape()), [10_000, 10_000]);
  for (const vmm of vmms) await vmm.kill();
  await agent.stop();
});

/** Runs the agent without debugfs, which has the numbers of vCPUs. */
const WITHOUT_DEBUGFS = ['unshare', '--mount', 'sh', '-c', 'umount /sys/kernel/debug && exec "$@"', '-'];

test(
  'OTLP deltas add up to the exits of a VM, although its vCPU gets its number late',
  liveTest('gcc', 'unshare', 'kvm-debugfs'),
  async () => {
    prepareSmallVmm();
    const receiver = await startReceiver();
    const endpoint = `--otlp.endpoint=http://127.0.0.1:${receiver.port}`;
    const args = [endpoint, '--otlp.interval=300ms', '--otlp.temporality=delta'];
    const agent = await startAgent({ args, prefix: WITHOUT_DEBUGFS });
    const vmms = [20_000, 60_000].map((commAfter) => {
      const name = `numbered-after-${commAfter}`;
      return { name, vmm: startSmallVmm(name, { exits: 150_000, comm: 'vcpu0', commAfter, endUs: LONG_US }) };
    });
    for (const { name, vmm } of vmms) {
      await agent.scrapeUntil(`${name}: 150000`, (samples) => ioExits(samples, name) >= 150_000);
      await vmm.kill();
    }
    await agent.stop();
    await receiver.stop();
    // On hosts with kvm_exit, each write is an exit in the other layer too.
    const received = (vm: string) => increaseIn(receiver.requests, 'kvm.exits', { vm, layer: 'qemu' });
    assert.deepEqual([...vmms.map(({ name }) => received(name)), received('')], [150_000, 150_000, 0]);
  },
);

/** Starts a VMM with the process id of an earlier one. Undefined if other processes of this host took the id first. */
function startWithPid(pid: number, name: string, options: SmallVmmOptions): SmallVmm | undefined {
  writeFileSync(LAST_PID, String(pid - 1));
  const vmm = startSmallVmm(name, options);
  return vmm.pid === pid ? vmm : undefined;
}

test(
  'a process that gets the id of a thread whose events are not read yet is no VM',
  allOf(liveTest('gcc'), skipUnless('ns_last_pid', existsSync(LAST_PID))),
  async (t) => {
    prepareSmallVmm();
    const agent = await startAgent();
    const unknown = (samples: Samples) => ioExits(samples, '');
    for (let attempt = 0; attempt < 20; attempt++) {
      const before = unknown(await agent.scrape());
      // The agent never sees the VMM: it starts and ends while the agent is stopped.
      agent.process.kill('SIGSTOP');
      const vmm = startSmallVmm(`unseen-${attempt}`, { exits: 5000 });
      await vmm.finished();
      writeFileSync(LAST_PID, String(vmm.pid - 1));
      const sleeping = spawn('sleep', ['60']);
      endLater(async () => void sleeping.kill());
      agent.process.kill('SIGCONT');
      if (sleeping.pid !== vmm.pid) continue;
      await agent.scrapeUntil('the exits of no known VM', (samples) => unknown(samples) >= before + 5000);
      assert.doesNotMatch(agent.log(), new RegExp(`VM started" vm="?${vmm.pid}"? `));
      await agent.stop();
      return;
    }
    t.skip('other processes take the process id each time');
  },
);

test(
  'of two VMMs whose threads have the same ids within one drain, each has its own exits',
  allOf(liveTest('gcc'), skipUnless('ns_last_pid', existsSync(LAST_PID))),
  async (t) => {
    prepareSmallVmm();
    const agent = await startAgent();
    for (let attempt = 0; attempt < 20; attempt++) {
      const names = [`reuse-${attempt}-first`, `reuse-${attempt}-second`] as const;
      const first = startSmallVmm(names[0], { exits: 60_000, comm: 'vcpu0', endUs: 200_000 });
      await agent.scrapeUntil('the first VM runs', (samples) => ioExits(samples, names[0]) > 0);
      // From here on, the events of both VMMs wait in the buffers.
      agent.process.kill('SIGSTOP');
      await first.finished();
      const second = startWithPid(first.pid, names[1], { exits: 30_000, comm: 'vcpu0', endUs: LONG_US });
      await sleep(500);
      agent.process.kill('SIGCONT');
      if (second === undefined) continue;
      await agent.scrapeUntil('both', (samples) => ioExits(samples, names[1]) >= 30_000);
      await sleep(1000);
      const samples = await agent.scrape();
      assert.deepEqual(
        names.map((name) => ioExits(samples, name)),
        [60_000, 30_000],
      );
      await second.kill();
      await agent.stop();
      return;
    }
    t.skip('other processes take the process id each time');
  },
);
