/**
 * Audits two agents against KVM's own statistics: one as it is, and one that drops the exits of one reason. Two guests
 * run, one of them with a QMP socket; the statistics of the other one are read from debugfs. Prints both audits; the
 * exit code is 1 if a check of the first agent is not 1, or if the second agent does not show the error.
 *
 * svm.test.ts runs this in an emulated host.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';

/** Time for the agent to start; an emulated host is slow. */
const PATIENCE_MS = 240_000;
/** The guests are busy, and an emulated host has little CPU time for the agents. */
const FIRST = ['nice', '-n', '-15'];
/** Longer than the shortest comparison, and two readings. */
const AUDIT_MS = 140_000;
/** The difference that raises the alert. */
const MAX_DIFFERENCE = 0.01;

/** The checks that must have a result, by VM. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'by-qmp': ['exits', 'io_exits', 'halt_exits'],
  'by-debugfs': ['exits', 'io_exits', 'mmio_exits'],
};

function ratiosOf(samples: Samples): Map<string, number> {
  return new Map(
    samples
      .of('kvm_exit_exporter_audit_ratio')
      .map(({ labels, value }) => [`${labels.get('vm')} ${labels.get('check')}`, value]),
  );
}

/** Scrapes an agent, which may be too slow for its own limits on a busy host. */
async function scrape(agent: RunningAgent): Promise<Samples> {
  for (let tries = 0; tries < 5; tries++) {
    try {
      return await agent.scrape();
    } catch (error) {
      console.log(String(error));
      await sleep(5000);
    }
  }
  return agent.scrape();
}

function print(what: string, samples: Samples): void {
  console.log(what);
  for (const [check, ratio] of ratiosOf(samples)) console.log(`  ${check.padEnd(30)} ${ratio}`);
  for (const { labels, value } of samples.of('kvm_exit_exporter_audit_checks'))
    console.log(`  ${labels.get('outcome')}: ${value}`);
}

async function audit(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'));
  const args = [`--qemu.qmp=${folder}/*.sock`];
  const faulty = join(import.meta.dirname, '../support/agent/drop-io-exits.js');
  const agents: readonly RunningAgent[] = await Promise.all([
    startAgent({ args, timeoutMs: PATIENCE_MS, prefix: FIRST }),
    // A QMP socket serves one client at a time, so this one reads debugfs only.
    startAgent({ timeoutMs: PATIENCE_MS, prefix: [...FIRST, 'env', `NODE_OPTIONS=--import=${faulty}`] }),
  ]);
  startGuest({
    name: 'by-qmp',
    steps: [{ bursts: { out: 0x80, times: 20, everyMs: 20 } }],
    extraArgs: ['-qmp', `unix:${folder}/guest.sock,server=on,wait=off`],
  });
  startGuest({
    name: 'by-debugfs',
    vcpus: 2,
    steps: [{ mmioRead: 0x1000_0000, times: 1_000_000_000 }],
    secondarySteps: [{ out: 0x80, times: 1_000_000_000 }],
  });
  await sleep(AUDIT_MS);
  for (const agent of agents) console.log(agent.log());
  const [right, wrong] = await Promise.all(agents.map(scrape));
  if (right === undefined || wrong === undefined) return false;
  print('the agent', right);
  print('an agent that drops exits for port accesses', wrong);
  for (const agent of agents) await agent.stop();
  const [ratios, wrongRatios] = [ratiosOf(right), ratiosOf(wrong)];
  const expected = Object.entries(EXPECTED).flatMap(([vm, checks]) => checks.map((check) => `${vm} ${check}`));
  const fires = (ratio = 1) => Math.abs(ratio - 1) > MAX_DIFFERENCE;
  return (
    expected.every((check) => ratios.has(check)) &&
    ![...ratios.values()].some(fires) &&
    ['by-debugfs io_exits', 'by-debugfs exits'].every((check) => fires(wrongRatios.get(check)))
  );
}

try {
  process.exitCode = (await audit()) ? 0 : 1;
} finally {
  await endAll();
}
