/** Which VM an exit belongs to, for VMMs that behave unlike QEMU. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { ioExits } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { prepareSmallVmm, startSmallVmm } from '../support/guest/start-small-vmm.js';

afterEach(endAll);

test('a VMM that creates its VM in another thread than its first one is one VM', liveTest('gcc'), async () => {
  prepareSmallVmm();
  const agent = await startAgent();
  const names = Array.from({ length: 8 }, (_, index) => `other-thread-${index}`);
  for (const name of names) {
    await startSmallVmm(name, { exits: 30_000 }).finished();
    await agent.scrapeUntil(`${name}: 30000`, (samples) => ioExits(samples, name) === 30_000);
  }
  const vms = (await agent.scrape()).of('kvm_vm_info').map(({ labels }) => labels.get('vm') ?? '');
  assert.deepEqual(vms.filter((vm) => vm.startsWith('other-thread')).sort(), names);
  assert.doesNotMatch(agent.log(), /VM started" vm="other-thread-\d \(/);
  await agent.stop();
});
