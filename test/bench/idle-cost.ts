/**
 * What an agent costs while nothing happens: `node build/test/bench/idle-cost.js [seconds] [warm-up seconds] [VMs]`.
 * VMs, by default none, have two halted vCPUs each.
 *
 * Prints the CPU time of a whole agent, the kernel's included, how often it reads, and the memory of its ring buffers;
 * needs root and KVM. To compare hosts with few and many CPUs, run it in emulated ones.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onlineCpus } from '../../src/source/tracefs/control/buffer-size.js';
import { startAgent, TRACEFS } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { median } from '../support/median.js';

const PATIENCE_MS = 120_000;
const PARTS = 5;
/** A tick of /proc/PID/stat. */
const MS_PER_TICK = 10;

/** CPU time of a process, in milliseconds. */
function cpuMs(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** System calls of a process that read (Documentation/filesystems/proc.rst). */
function readCalls(pid: number | undefined): number {
  return Number(/^syscr: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1] ?? Number.NaN);
}

const [seconds = 50, warmUpSeconds = 40, vms = 0] = process.argv.slice(2).map(Number);
try {
  const agent = await startAgent({ timeoutMs: PATIENCE_MS });
  const halted = [{ halt: true }] as const;
  for (let vm = 0; vm < vms; vm++) startGuest({ name: `idle-${vm}`, vcpus: 2, steps: halted, secondarySteps: halted });
  await sleep(warmUpSeconds * 1000);
  const parts: number[] = [];
  const [readsBefore, startMs] = [readCalls(agent.process.pid), performance.now()];
  for (let part = 0; part < PARTS; part++) {
    const [before, beganMs] = [cpuMs(agent.process.pid), performance.now()];
    await sleep((seconds * 1000) / PARTS);
    parts.push((cpuMs(agent.process.pid) - before) / ((performance.now() - beganMs) / 1000));
  }
  const reads = (readCalls(agent.process.pid) - readsBefore) / ((performance.now() - startMs) / 1000);
  const buffersKib = Number(readFileSync(join(TRACEFS, 'instances', agent.instance, 'buffer_total_size_kb'), 'utf8'));
  console.log(`CPUs               ${onlineCpus()}`);
  console.log(`VMs                ${vms}`);
  console.log(`ring buffers       ${buffersKib / 1024} MiB`);
  console.log(`reads              ${reads.toFixed(1)} per second`);
  console.log(
    `CPU, median of ${PARTS}   ${median(parts).toFixed(2)} ms/s (${parts.map((ms) => ms.toFixed(2)).join(', ')})`,
  );
  await agent.stop();
} finally {
  await endAll();
}
