/** Guests whose exits are known by construction, counted live with every way to read the kernel's trace. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { type RunningAgent, type StartOptions, startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { FIRST_WRITES, runKnownGuest, UNTIL_KNOWN, writesInAll } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { startPerfStat } from '../support/guest/perf-stat.js';
import type { Samples } from '../support/prometheus/samples.js';

afterEach(endAll);

/** Guest-physical address without memory or device. */
const UNMAPPED = 0x1000_0000;
/** Attempts to compare with perf, which also counts the exits of other VMs on this host. */
const MAX_TRIES = 5;

/** Userspace exits by reason, without interrupted KVM_RUN calls, whose number the guest does not determine. */
function userspaceExits(samples: Samples, vm: string): Record<string, number> {
  const { restart, error, ...exits } = samples.sumBy('reason', 'kvm_exits_total', { vm, layer: 'qemu' });
  return exits;
}

/** Waits until all expected userspace exits of a VM are counted, and asserts that there are no more. */
async function assertUserspaceExits(
  agent: RunningAgent,
  vm: string,
  expected: Readonly<Record<string, number>>,
): Promise<void> {
  const samples = await agent.scrapeUntil(`${vm}: ${JSON.stringify(expected)}`, (now) =>
    Object.entries(expected).every(([reason, count]) => (userspaceExits(now, vm)[reason] ?? 0) >= count),
  );
  assert.deepEqual(userspaceExits(samples, vm), expected);
}

test('several VMs at once are counted exactly, each under its own name', liveTest(), async () => {
  const agent = await startAgent();
  const uuid = '11111111-2222-3333-4444-55555555555a';
  await Promise.all([
    runKnownGuest(agent, { name: 'exact-out', uuid, steps: writesInAll(100_000) }),
    runKnownGuest(agent, {
      name: 'exact-in',
      steps: [
        { in: 0x402, times: 30_000 },
        { cpuid: 0, times: 1000 },
      ],
    }),
    runKnownGuest(agent, {
      name: 'exact-mmio',
      steps: [
        { mmioRead: UNMAPPED, times: 20_000 },
        { mmioWrite: UNMAPPED, times: 10_000 },
      ],
    }),
  ]);
  await assertUserspaceExits(agent, 'exact-out', { KVM_EXIT_IO: 100_001 });
  await assertUserspaceExits(agent, 'exact-in', { KVM_EXIT_IO: FIRST_WRITES + 30_001 });
  await assertUserspaceExits(agent, 'exact-mmio', { KVM_EXIT_IO: FIRST_WRITES + 1, KVM_EXIT_MMIO: 30_000 });
  const samples = await agent.scrape();
  assert.equal(samples.of('kvm_vm_info', { vm: 'exact-out', uuid, vmm: 'qemu' }).length, 1);
  assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
  assert.equal(samples.sum('kvm_exit_exporter_malformed_total'), 0);
  await agent.stop();
});

test('each vCPU has its own series', liveTest(), async () => {
  const agent = await startAgent();
  const vcpusOf = (now: Samples) => Object.keys(now.sumBy('vcpu', 'kvm_exits_total', { vm: 'exact-smp' }));
  await runKnownGuest(
    agent,
    {
      name: 'exact-smp',
      vcpus: 2,
      steps: writesInAll(20_000),
      secondarySteps: [...UNTIL_KNOWN, ...writesInAll(30_000)],
    },
    (now) => vcpusOf(now).join() === '0,1',
  );
  await assertUserspaceExits(agent, 'exact-smp', { KVM_EXIT_IO: 50_001 });
  const samples = await agent.scrape();
  const labels = { vm: 'exact-smp', reason: 'KVM_EXIT_IO', layer: 'qemu' };
  assert.deepEqual(samples.sumBy('vcpu', 'kvm_exits_total', labels), { 0: 20_001, 1: 30_000 });
  await agent.stop();
});

test('perf stat counts the same number of exits', liveTest('perf'), async () => {
  const agent = await startAgent();
  const hits = async () =>
    (await agent.scrape()).sum('kvm_tracepoint_hits_total', { tracepoint: 'kvm_userspace_exit' });
  for (let round = 1; ; round++) {
    const before = await hits();
    const perf = await startPerfStat('kvm:kvm_userspace_exit');
    const vms = [`perf-a${round}`, `perf-b${round}`];
    await Promise.all(vms.map((name) => runKnownGuest(agent, { name, steps: writesInAll(40_000) })));
    const counted = (await perf.stop()).get('kvm:kvm_userspace_exit') ?? 0;
    assert.ok(counted >= 80_002, `perf counts ${counted}`);
    for (const vm of vms) await assertUserspaceExits(agent, vm, { KVM_EXIT_IO: 40_001 });
    const rise = (await hits()) - before;
    if (round < MAX_TRIES && rise !== counted) continue;
    assert.equal(rise, counted);
    break;
  }
  await agent.stop();
});

const VARIANTS: readonly (StartOptions & { readonly name: string })[] = [
  { name: 'with the text reader', args: ['--tracefs.reader=text'] },
  { name: 'with all tracepoints of KVM enabled', args: ['--tracefs.events=kvm:*'] },
  { name: 'with ring buffers of 1 MiB', args: ['--tracefs.buffer-size=1MiB'] },
];

for (const { name, ...options } of VARIANTS) {
  test(`counts are exact ${name}`, liveTest(), async () => {
    const agent = await startAgent(options);
    await runKnownGuest(agent, {
      name: 'exact-variant',
      steps: [
        // A pace at which a small buffer lasts for a while: on a busy machine the agent may read late.
        { bursts: { out: 0x80, times: 400, everyMs: 10, ticks: 50 } },
        { in: 0x402, times: 5000 },
      ],
    });
    await assertUserspaceExits(agent, 'exact-variant', { KVM_EXIT_IO: FIRST_WRITES + 25_001 });
    await agent.stop();
  });
}

test('the agent needs uid 0, but no capabilities', liveTest('setpriv'), async () => {
  const withoutCapabilities = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all'];
  const agent = await startAgent({ prefix: withoutCapabilities });
  const status = readFileSync(`/proc/${agent.process.pid}/status`, 'utf8');
  assert.match(status, /^CapPrm:\s+0+$/m);
  assert.match(status, /^CapEff:\s+0+$/m);
  await runKnownGuest(agent, { name: 'no-caps', steps: writesInAll(40_000) });
  await assertUserspaceExits(agent, 'no-caps', { KVM_EXIT_IO: 40_001 });
  await agent.stop();
});
