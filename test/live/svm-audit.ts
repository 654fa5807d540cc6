/**
 * Audits two agents against KVM's own statistics: one as it is, and one that drops the exits of one reason. Two guests
 * run, one of them with a QMP socket; the statistics of the other one are read from debugfs. Prints both audits, as
 * series; the exit code is 1 if a check of the first agent is not 1 to three decimals, or if the second agent does not
 * show the error.
 *
 * svm.test.ts runs this in an emulated host.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { scrapePatiently } from '../support/guest/agent-checks.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';

/** Time for the agent to start; an emulated host is slow. */
const PATIENCE_MS = 240_000;
/** The guests are busy, and an emulated host has little CPU time for the agents. */
const FIRST = ['nice', '-n', '-15'];
/** The shortest comparison takes a minute, and a reading ten seconds. */
const AUDIT_MS = 200_000;
/** The difference that raises the alert. */
const MAX_DIFFERENCE = 0.01;

/** The checks that must have a result, by VM. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'by-qmp': ['exits', 'io_exits', 'halt_exits'],
  'by-debugfs': ['exits', 'io_exits', 'mmio_exits', 'hypercalls', 'irq_exits'],
};

/** Some minutes of hypercalls and port writes in turn. */
const CALLS_AND_WRITES = Array.from({ length: 200 }, () => [
  { vmmcall: 99, times: 1000 },
  { out: 0x80, times: 2000 },
]).flat();

/** The checks that the second agent cannot pass. */
const DROPPED = ['by-qmp exits', 'by-qmp io_exits', 'by-debugfs exits', 'by-debugfs io_exits'];

function ratiosOf(samples: Samples): Map<string, number> {
  return new Map(
    samples
      .of('kvm_exit_exporter_audit_ratio')
      .map(({ labels, value }) => [`${labels.get('vm')} ${labels.get('check')}`, value]),
  );
}

function print(agent: string, samples: Samples): void {
  for (const name of ['ratio', 'uncertainty', 'checks'])
    for (const { labels, value } of samples.of(`kvm_exit_exporter_audit_${name}`)) {
      const pairs = Array.from(labels, ([label, text]) => `,${label}="${text}"`).join('');
      console.log(`kvm_exit_exporter_audit_${name}{instance="${agent}"${pairs}} ${value}`);
    }
}

/** Scrapes until every check that is expected has a result, or for as long as that may take. */
async function scrapeRatios(agent: RunningAgent, expected: readonly string[]): Promise<Samples> {
  const endMs = performance.now() + AUDIT_MS;
  for (;;) {
    const samples = await scrapePatiently(agent);
    const ratios = ratiosOf(samples);
    if (performance.now() > endMs || expected.every((check) => ratios.has(check))) return samples;
    await sleep(5000);
  }
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
    secondarySteps: [...CALLS_AND_WRITES, { out: 0x80, times: 1_000_000_000 }],
  });
  const expected = Object.entries(EXPECTED).flatMap(([vm, checks]) => checks.map((check) => `${vm} ${check}`));
  const [right, wrong] = await Promise.all(agents.map((agent) => scrapeRatios(agent, expected)));
  for (const agent of agents) console.log(agent.log());
  if (right === undefined || wrong === undefined) return false;
  print('right', right);
  print('wrong', wrong);
  for (const agent of agents) await agent.stop();
  const [ratios, wrongRatios] = [ratiosOf(right), ratiosOf(wrong)];
  return (
    expected.every((check) => ratios.has(check)) &&
    [...ratios.values()].every((ratio) => ratio.toFixed(3) === '1.000') &&
    DROPPED.every((check) => Math.abs((wrongRatios.get(check) ?? 1) - 1) > MAX_DIFFERENCE)
  );
}

try {
  process.exitCode = (await audit()) ? 0 : 1;
} finally {
  await endAll();
}
