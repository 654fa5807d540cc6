/**
 * Compares the agent's counts with those of the kernel's hist triggers, in a tracing instance of their own. Two guests
 * run; per VM, vCPU and reason the counts must be equal. Prints both; the exit code is 1 if they differ.
 *
 * This needs a host whose guests raise kvm_exit; svm.test.ts runs it in an emulated host. The agent and the triggers
 * are started before the guests, because enabling a tracepoint while vCPUs run can crash an emulated host.
 */
import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, TRACEFS, uniqueInstance } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';
import { addHist, readHist, readReasonNames, removeHist } from '../support/trace/hist-trigger.js';

/** Time for the agent to start; an emulated host is slow. */
const PATIENCE_MS = 120_000;

/**
 * The errno of kvm_userspace_exit that means an interrupted KVM_RUN: the kernel's text shows it as `restart`, any other
 * as `error`.
 */
const EINTR = -4;

const EXITS = { event: 'kvm_exit', keys: 'common_pid,vcpu_id,exit_reason' };
const USERSPACE_EXITS = { event: 'kvm_userspace_exit', keys: 'common_pid,reason,errno' };

/** Fills a map from thread id to VM name while the guests run. */
function watchThreads(guests: readonly RunningGuest[]): Map<number, string> {
  const owners = new Map<number, string>();
  const look = () => {
    for (const { pid, name } of guests) {
      try {
        for (const tid of readdirSync(`/proc/${pid}/task`)) owners.set(Number(tid), name);
      } catch {
        // The guest has ended.
      }
    }
  };
  const timer = setInterval(look, 50);
  timer.unref();
  return owners;
}

/** The counts of the hist triggers, under the agent's labels. */
function histCounts(instance: string, owners: ReadonlyMap<number, string>): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (key: string, hits: number) => counts.set(key, (counts.get(key) ?? 0) + hits);
  const vcpus = new Map<number, number>();
  const exitNames = readReasonNames(EXITS);
  for (const { common_pid: tid = 0, vcpu_id: vcpu = 0, exit_reason: reason = 0, hits = 0 } of readHist(
    instance,
    EXITS,
  )) {
    vcpus.set(tid, vcpu);
    add(`${owners.get(tid)} vcpu ${vcpu} kvm ${exitNames.get(reason) ?? reason}`, hits);
  }
  const userspaceNames = readReasonNames(USERSPACE_EXITS);
  for (const { common_pid: tid = 0, reason = 0, errno = 0, hits = 0 } of readHist(instance, USERSPACE_EXITS)) {
    const name = errno === EINTR ? 'restart' : errno < 0 ? 'error' : userspaceNames.get(reason);
    add(`${owners.get(tid)} vcpu ${vcpus.get(tid)} qemu ${name}`, hits);
  }
  return counts;
}

function agentCounts(samples: Samples): Map<string, number> {
  return new Map(
    samples.of('kvm_exits_total').map(({ labels, value }) => {
      const [vm, vcpu, layer, reason] = ['vm', 'vcpu', 'layer', 'reason'].map((label) => labels.get(label));
      return [`${vm} vcpu ${vcpu} ${layer} ${reason}`, value];
    }),
  );
}

async function compare(): Promise<boolean> {
  const agent = await startAgent({ timeoutMs: PATIENCE_MS });
  const instance = join(TRACEFS, 'instances', uniqueInstance());
  mkdirSync(instance);
  for (const event of [EXITS, USERSPACE_EXITS]) addHist(instance, event);
  const unmapped = 0x1000_0000;
  const guests = [
    startGuest({
      name: 'svm-a',
      vcpus: 2,
      steps: [
        { out: 0x80, times: 20_000 },
        { cpuid: 0, times: 5000 },
      ],
      secondarySteps: [{ out: 0x80, times: 10_000 }],
    }),
    startGuest({
      name: 'svm-b',
      steps: [
        { in: 0x402, times: 10_000 },
        { mmioRead: unmapped, times: 5000 },
        { mmioWrite: unmapped, times: 3000 },
      ],
    }),
  ];
  const owners = watchThreads(guests);
  for (const guest of guests) await guest.finished();
  await sleep(3000);
  const samples = await agent.scrape();
  const counts = agentCounts(samples);
  const reference = histCounts(instance, owners);
  for (const event of [EXITS, USERSPACE_EXITS]) removeHist(instance, event);
  rmdirSync(instance);
  console.log(agent.log());
  await agent.stop();
  return printAndCompare(counts, reference) && nothingLost(samples);
}

/** The kernel's statistics and the agent agree on what was read from the buffers, on this kernel too. */
function nothingLost(samples: Samples): boolean {
  const losses = ['lost_events', 'unknown_gaps', 'malformed'].map((name) => `kvm_exit_exporter_${name}_total`);
  for (const name of losses) console.log(`${name} ${samples.sum(name)}`);
  return losses.every((name) => samples.sum(name) === 0);
}

function printAndCompare(counts: ReadonlyMap<string, number>, reference: ReadonlyMap<string, number>): boolean {
  console.log(`${'series'.padEnd(44)}${'agent'.padStart(10)}${'hist'.padStart(10)}`);
  let equal = reference.size > 0;
  for (const key of [...new Set([...counts.keys(), ...reference.keys()])].sort()) {
    const [own = 0, hist = 0] = [counts.get(key), reference.get(key)];
    equal &&= own === hist;
    console.log(
      `${key.padEnd(44)}${String(own).padStart(10)}${String(hist).padStart(10)}${own === hist ? '' : '   DIFFERENT'}`,
    );
  }
  return equal;
}

try {
  process.exitCode = (await compare()) ? 0 : 1;
} finally {
  await endAll();
}
