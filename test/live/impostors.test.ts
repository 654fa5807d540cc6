/** Processes that pose as VMs, and VMs that pose as other VMs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, test } from 'node:test';
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { ioExits } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { prepareSmallVmm, type SmallVmm, startSmallVmm } from '../support/guest/start-small-vmm.js';

afterEach(endAll);

const EXITS = 30_000;
const UUID = '0e44be5a-ff12-52fb-9413-07b52f3593c3';

const qemuArgs = (name: string) => ['qemu-system-x86_64', '-name', `guest=${name}`, '-uuid', UUID];

/** A process with the command line of a VM, and /dev/kvm open as every user of KVM may have it. */
async function startImpostor(name: string): Promise<void> {
  const [argv0 = '', ...args] = qemuArgs(name);
  const child = spawn('sh', ['-c', 'exec 3</dev/kvm; echo up; read line', ...args], { argv0, stdio: 'pipe' });
  const ended = once(child, 'exit');
  endLater(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await once(child.stdout, 'data');
}

/** Starts a VM with this name that lives on after its last exit. */
const startVm = (name: string): SmallVmm =>
  startSmallVmm(name, { args: qemuArgs(name), exits: EXITS, comm: 'CPU 0/KVM', startUs: 500_000, endUs: 300_000_000 });

/** Labels of the VMs that begin with `name`, with their exits. */
async function counted(agent: RunningAgent, name: string): Promise<ReadonlyMap<string, number>> {
  const samples = await agent.scrape();
  const names = samples.of('kvm_vm_info').map(({ labels }) => labels.get('vm') ?? '');
  return new Map(names.filter((vm) => vm.startsWith(name)).map((vm) => [vm, ioExits(samples, vm)]));
}

/** What the agent may use to find out who has a VM. */
const HOSTS = {
  "with KVM's debugfs": [],
  'without debugfs': ['unshare', '--mount', 'sh', '-c', 'umount /sys/kernel/debug && exec "$@"', '-'],
  'without debugfs and capabilities': [
    ...['unshare', '--mount', 'sh', '-c', 'umount /sys/kernel/debug && exec "$@"', '-'],
    ...['setpriv', '--bounding-set=-all', '--inh-caps=-all'],
  ],
} as const;

for (const [host, prefix] of Object.entries(HOSTS))
  test(
    `a VM has its name, beside older processes that pose as it: ${host}`,
    liveTest('gcc', 'unshare', 'setpriv', 'kvm-debugfs'),
    async () => {
      prepareSmallVmm();
      const agent = await startAgent({ prefix });
      await startImpostor('posed');
      for (let n = 0; n < 20; n++) await startImpostor(`posed-${n}`);
      const vmm = startVm('posed');
      await agent.scrapeUntil(`${EXITS} exits`, (samples) => ioExits(samples, 'posed') >= EXITS);
      assert.deepEqual(await counted(agent, 'posed'), new Map([['posed', EXITS]]));
      await vmm.kill();
      await agent.stop();
    },
  );

test('a VM with the name of another one has a name and counts of its own', liveTest('gcc'), async () => {
  prepareSmallVmm();
  const agent = await startAgent();
  const endUs = 300_000_000; // longer than the test
  const first = startSmallVmm('twin', { args: qemuArgs('twin'), exits: EXITS, endUs });
  await agent.scrapeUntil('the first VM', (samples) => ioExits(samples, 'twin') >= EXITS);
  const cloud = startSmallVmm('twin', { exits: 20_000, endUs });
  const label = `twin (${cloud.pid})`;
  await agent.scrapeUntil('the second VM', (samples) => ioExits(samples, label) >= 20_000);
  assert.deepEqual(
    await counted(agent, 'twin'),
    new Map([
      ['twin', EXITS],
      [label, 20_000],
    ]),
  );
  await first.kill();
  await cloud.kill();
  await agent.stop();
});
