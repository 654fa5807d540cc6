/** Guests whose exits are known by construction, counted live in each way that there is. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { type AgentOptions, type RunningAgent, startAgent } from '../support/agent/agent.js';
import { endAll } from '../support/end-later.js';
import { startPerfStat } from '../support/guest/perf-stat.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';
import { needs, type Requirement } from '../support/requirements.js';

const live = (...more: Requirement[]) => ({
  ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu', ...more),
  timeout: 60_000,
});

afterEach(endAll);
const NOWHERE = 0x1000_0000;
/** Other VMs of this host may come in between, which perf counts too. */
const TRIES = 5;

/** Exits to QEMU by reason, without those of KVM_RUN being interrupted, which depend on QEMU's mood. */
function exitsToQemu(samples: Samples, vm: string): Record<string, number> {
  const { restart, error, ...exits } = samples.sumBy('reason', 'kvm_exits_total', { vm, layer: 'qemu' });
  return exits;
}

/** Scrapes until a VM's exits are all there. */
async function exitsOf(agent: RunningAgent, vm: string, expected: Readonly<Record<string, number>>): Promise<void> {
  const samples = await agent.scrapeUntil(`${vm}: ${JSON.stringify(expected)}`, (now) =>
    Object.entries(expected).every(([reason, count]) => (exitsToQemu(now, vm)[reason] ?? 0) >= count),
  );
  assert.deepEqual(exitsToQemu(samples, vm), expected);
}

test('several VMs at once are counted exactly, each under its own name', live(), async () => {
  const agent = await startAgent();
  const uuid = '11111111-2222-3333-4444-55555555555a';
  const guests = [
    startGuest({ name: 'exact-out', uuid, steps: [{ out: 0x80, times: 100_000 }] }),
    startGuest({
      name: 'exact-in',
      steps: [
        { in: 0x402, times: 30_000 },
        { cpuid: true, times: 1000 },
      ],
    }),
    startGuest({
      name: 'exact-mmio',
      steps: [
        { mmioRead: NOWHERE, times: 20_000 },
        { mmioWrite: NOWHERE, times: 10_000 },
      ],
    }),
  ];
  for (const guest of guests) await guest.finished();
  await exitsOf(agent, 'exact-out', { KVM_EXIT_IO: 100_001 });
  await exitsOf(agent, 'exact-in', { KVM_EXIT_IO: 30_001 });
  await exitsOf(agent, 'exact-mmio', { KVM_EXIT_IO: 1, KVM_EXIT_MMIO: 30_000 });
  const samples = await agent.scrape();
  assert.equal(samples.of('kvm_vm_info', { vm: 'exact-out', uuid, vmm: 'qemu' }).length, 1);
  assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
  assert.equal(samples.sum('kvm_exit_exporter_malformed_total'), 0);
  await agent.stop();
});

test('each vCPU has series of its own', live(), async () => {
  const agent = await startAgent();
  await startGuest({
    name: 'exact-smp',
    vcpus: 2,
    steps: [{ out: 0x80, times: 20_000 }],
    others: [{ out: 0x80, times: 30_000 }],
  }).finished();
  await exitsOf(agent, 'exact-smp', { KVM_EXIT_IO: 50_001 });
  const samples = await agent.scrape();
  const labels = { vm: 'exact-smp', reason: 'KVM_EXIT_IO', layer: 'qemu' };
  assert.deepEqual(samples.sumBy('vcpu', 'kvm_exits_total', labels), { 0: 20_001, 1: 30_000 });
  await agent.stop();
});

test('perf stat counts the same meanwhile', live('perf'), async () => {
  const agent = await startAgent();
  const hits = async () =>
    (await agent.scrape()).sum('kvm_tracepoint_hits_total', { tracepoint: 'kvm_userspace_exit' });
  for (let round = 1; ; round++) {
    const before = await hits();
    const perf = await startPerfStat('kvm:kvm_userspace_exit');
    const vms = [`perf-a${round}`, `perf-b${round}`];
    const guests = vms.map((name) => startGuest({ name, steps: [{ out: 0x80, times: 40_000 }] }));
    for (const guest of guests) await guest.finished();
    const counted = (await perf.stop()).get('kvm:kvm_userspace_exit') ?? 0;
    assert.ok(counted >= 80_002, `perf counts ${counted}`);
    for (const vm of vms) await exitsOf(agent, vm, { KVM_EXIT_IO: 40_001 });
    const rise = (await hits()) - before;
    if (round < TRIES && rise !== counted) continue;
    assert.equal(rise, counted);
    break;
  }
  await agent.stop();
});

const WAYS: readonly (AgentOptions & { readonly name: string })[] = [
  { name: 'as text', args: ['--tracefs.reader=text'] },
  { name: 'with all tracepoints of KVM on', args: ['--tracefs.events=kvm:*'] },
  { name: 'in buffers of 1 MiB', args: ['--tracefs.buffer-size=1MiB'] },
];

for (const { name, ...options } of WAYS) {
  test(`counts are exact ${name}`, live(), async () => {
    const agent = await startAgent(options);
    await startGuest({
      name: 'another-way',
      steps: [
        // At a pace that a small buffer holds for a while: nobody reads at once on a busy machine.
        { bursts: { out: 0x80, times: 400, everyMs: 10, ticks: 50 } },
        { in: 0x402, times: 5000 },
      ],
    }).finished();
    await exitsOf(agent, 'another-way', { KVM_EXIT_IO: 25_001 });
    await agent.stop();
  });
}

test('uid 0 without any capability is enough', live('setpriv'), async () => {
  const none = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all'];
  const agent = await startAgent({ prefix: none });
  const status = readFileSync(`/proc/${agent.process.pid}/status`, 'utf8');
  assert.match(status, /^CapPrm:\s+0+$/m);
  assert.match(status, /^CapEff:\s+0+$/m);
  await startGuest({ name: 'no-caps', steps: [{ out: 0x80, times: 40_000 }] }).finished();
  await exitsOf(agent, 'no-caps', { KVM_EXIT_IO: 40_001 });
  await agent.stop();
});
