/**
 * An agent on a host with many CPUs: its ring buffers take a bounded part of the kernel's memory, and it counts twelve
 * VMs that run at once exactly. Prints both; the exit code is 1 if either is wrong.
 *
 * Run it on any host with KVM, best with many CPUs, such as an emulated one with 32 (see svm.test.ts). The agent is
 * started before the guests, because enabling a tracepoint while vCPUs run can crash an emulated host.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startAgent, TRACEFS } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';

const VMS = 12;
const MAX_TOTAL_KIB = 256 * 1024;
/** An emulated host is slow. */
const PATIENCE_MS = 240_000;
/** Each VM does another number of port writes, after four seconds of few, in which the agent learns its name. */
const timesOf = (vm: number): number => 1000 + 100 * vm;
const BURSTS = { out: 0x80, times: 1, everyMs: 20, ticks: 200 };

async function buffersAreBounded(instance: string): Promise<boolean> {
  const folder = join(TRACEFS, 'instances', instance);
  const totalKib = Number(readFileSync(join(folder, 'buffer_total_size_kb'), 'utf8'));
  console.log(`${readdirSync(join(folder, 'per_cpu')).length} CPUs, ring buffers ${totalKib} KiB in all`);
  return totalKib > 0 && totalKib <= MAX_TOTAL_KIB;
}

/** Exits to QEMU for port writes of a VM. */
function ioExits(samples: Samples, vm: string): number {
  return samples.sum('kvm_exits_total', { vm, layer: 'qemu', reason: 'KVM_EXIT_IO' });
}

async function run(): Promise<boolean> {
  const agent = await startAgent({ timeoutMs: PATIENCE_MS });
  let isRight = await buffersAreBounded(agent.instance);
  const guests = Array.from({ length: VMS }, (_, vm) =>
    startGuest({ name: `many-${vm}`, steps: [{ bursts: BURSTS }, { out: 0x80, times: timesOf(vm) }] }),
  );
  for (const guest of guests) await guest.finished();
  // A guest counts its writes in bursts. Its last exit is the write to the port that ends it.
  const wanted = guests.map(({ writesDone }, vm) => writesDone() + timesOf(vm) + 1);
  const isDone = (samples: Samples) => guests.every(({ name }, vm) => ioExits(samples, name) >= (wanted[vm] ?? 0));
  const samples = await agent.scrapeUntil('all exits', isDone, PATIENCE_MS);
  for (const [vm, { name }] of guests.entries()) {
    const counted = ioExits(samples, name);
    const verdict = counted === wanted[vm] ? '' : '   DIFFERENT';
    console.log(`${name.padEnd(10)} ${counted} of ${wanted[vm]} exits to QEMU${verdict}`);
    isRight &&= counted === wanted[vm];
  }
  const vms = new Set(samples.of('kvm_exits_total').map(({ labels }) => labels.get('vm')));
  console.log(`VMs with exits: ${[...vms].sort().join(', ')}`);
  for (const name of ['lost_events', 'unknown_gaps', 'malformed']) {
    const count = samples.sum(`kvm_exit_exporter_${name}_total`);
    console.log(`${name} ${count}`);
    isRight &&= count === 0;
  }
  await agent.stop();
  return isRight && vms.size === VMS;
}

try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  await endAll();
}
