/**
 * Compares the agent's counts of arm64 guests with those that their code determines, and with KVM's own statistics in
 * debugfs. Prints all of them; the exit code is 1 if they differ. arm64.test.ts runs this in an emulated host.
 *
 * The VMM of that host calls itself qemu-system-aarch64 and takes the variable TINY="WRITES CALLS VCPUS". Each vCPU of
 * its guest makes WRITES writes to an address that the VMM answers (DABT_LOW, KVM_EXIT_MMIO), CALLS hypercalls that KVM
 * answers (HVC64), and one last write. The VMM prints a line when all vCPUs are done, and with HOLD=1 it stays until it
 * is killed, so that its statistics remain.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import type { Samples } from '../support/prometheus/samples.js';

/** Time for the agent to start; an emulated host is slow. */
const PATIENCE_MS = 180_000;
const DEBUGFS = '/sys/kernel/debug/kvm';

interface Guest {
  readonly name: string;
  readonly writes: number;
  readonly calls: number;
  readonly vcpus: number;
}

/** Enough exits for each vCPU to live until the agent, which the emulation slows down, has looked up its thread. */
const GUESTS: readonly Guest[] = [
  { name: 'arm-a', writes: 60_000, calls: 5000, vcpus: 1 },
  { name: 'arm-b', writes: 30_000, calls: 8000, vcpus: 2 },
];

/** Starts a guest, and resolves when all of its vCPUs are done. */
async function runGuest({ name, writes, calls, vcpus }: Guest): Promise<ChildProcess> {
  const child = spawn('qemu-system-aarch64', ['-name', `guest=${name},debug-threads=on`], {
    env: { ...process.env, TINY: `${writes} ${calls} ${vcpus}`, HOLD: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  endLater(async () => {
    child.kill('SIGKILL');
  });
  await once(child.stdout, 'data');
  return child;
}

/** One of KVM's statistics of the VM that a process runs. */
function statistic(pid: number | undefined, name: string): number {
  const folder = readdirSync(DEBUGFS).find((entry) => entry.startsWith(`${pid}-`));
  return Number(readFileSync(`${DEBUGFS}/${folder}/${name}`, 'utf8'));
}

const sum = (samples: Samples, vm: string, layer: string, reason?: string) =>
  samples.sum('kvm_exits_total', reason === undefined ? { vm, layer } : { vm, layer, reason });

async function compare(): Promise<boolean> {
  const agent = await startAgent({ timeoutMs: PATIENCE_MS });
  const processes = await Promise.all(GUESTS.map(runGuest));
  await sleep(3000);
  const samples = await agent.scrape();
  const rows = GUESTS.flatMap(({ name, writes, calls, vcpus }, index) => {
    const own = (layer: string, reason?: string) => sum(samples, name, layer, reason);
    const kvm = (statisticName: string) => statistic(processes[index]?.pid, statisticName);
    const allWrites = (writes + 1) * vcpus;
    return [
      { what: `${name}: exits`, agent: own('kvm'), expected: kvm('exits') },
      { what: `${name}: HVC64, by KVM`, agent: own('kvm', 'HVC64'), expected: kvm('hvc_exit_stat') },
      { what: `${name}: HVC64, by construction`, agent: own('kvm', 'HVC64'), expected: calls * vcpus },
      { what: `${name}: DABT_LOW, by construction`, agent: own('kvm', 'DABT_LOW'), expected: allWrites },
      { what: `${name}: KVM_EXIT_MMIO, by KVM`, agent: own('qemu', 'KVM_EXIT_MMIO'), expected: kvm('mmio_exit_user') },
      { what: `${name}: KVM_EXIT_MMIO, by construction`, agent: own('qemu', 'KVM_EXIT_MMIO'), expected: allWrites },
      {
        what: `${name}: vCPUs`,
        agent: Object.keys(samples.sumBy('vcpu', 'kvm_exits_total', { vm: name })).length,
        expected: vcpus,
      },
    ];
  });
  for (const name of ['lost_events', 'unknown_gaps', 'malformed'])
    rows.push({ what: name, agent: samples.sum(`kvm_exit_exporter_${name}_total`), expected: 0 });
  console.log(agent.log());
  for (const row of rows)
    console.log(
      `${row.what}: ${row.agent}, expected ${row.expected}${row.agent === row.expected ? '' : '   DIFFERENT'}`,
    );
  for (const child of processes) child.kill('SIGKILL');
  await agent.stop();
  return rows.every((row) => row.agent === row.expected);
}

try {
  process.exitCode = (await compare()) ? 0 : 1;
} finally {
  await endAll();
}
