/**
 * Two guests whose MSRs, CPUID leaves and hypercalls are known from their code, and one that asks for all CPUID leaves.
 * A live agent counts them, and `record`, `trace-cmd record` and `perf record` record them. All four must have the same
 * counts, and `perf kvm stat` those of the MSRs. Prints them; the exit code is 1 if one differs.
 *
 * svm.test.ts runs this in an emulated host. Everything is started before the guests, because enabling a tracepoint
 * while vCPUs run can crash an emulated host.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { reportOf } from '../support/agent/run-agent.js';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { PATIENCE_MS, saveProc, startRecorders } from '../support/guest/start-recorders.js';
import type { Step } from '../support/guest/steps.js';
import type { Samples } from '../support/prometheus/samples.js';

const INDICES = ['msr', 'cpuid', 'hypercall', 'page_fault'];
/** `perf kvm stat` needs entries, to know how long an exit took. */
const EVENTS = ['exit', 'entry', 'userspace_exit', ...INDICES].map((name) => `kvm:kvm_${name}`);
const LEAVES = 65_536;
/** Series of a VM, and the sum of the rest. */
const MAX_SERIES = 51;

/** What the code of the guests does. Names: SDM vol. 4, table 2-2; include/uapi/linux/kvm_para.h. */
const WANT = [
  'indices-a cpuid 0x1 300',
  'indices-a cpuid 0x40000001 200',
  'indices-a hypercall 0x63 40',
  'indices-a hypercall KVM_HC_SCHED_YIELD 20',
  'indices-a msr read IA32_APIC_BASE 70',
  'indices-a msr write IA32_APIC_BASE 20',
  'indices-b cpuid 0x0 90',
  'indices-b hypercall 0x63 10',
  'indices-b msr read IA32_APIC_BASE 30',
];

/** What `perf kvm stat` must say of all guests together, by the same code. */
const WANT_PERF = ['0x1b:R 100', '0x1b:W 20'];

/** Four seconds, so that an agent that gets little time sees the VM while it runs. It has none of the counted exits. */
const LIVE_A_WHILE: Step = { bursts: { out: 0x80, times: 1, everyMs: 20, ticks: 200 } };

async function runGuests(folder: string): Promise<void> {
  const guests = [
    startGuest({
      name: 'indices-a',
      steps: [
        LIVE_A_WHILE,
        { cpuid: 1, times: 300 },
        { cpuid: 0x40000001, times: 200 },
        { vmmcall: 0x63, times: 40 },
        { vmmcall: 11, times: 20 },
        { rdmsr: 0x1b, times: 50 },
        { rewriteMsr: 0x1b, times: 20 },
      ],
    }),
    startGuest({
      name: 'indices-b',
      steps: [LIVE_A_WHILE, { cpuid: 0, times: 90 }, { vmmcall: 0x63, times: 10 }, { rdmsr: 0x1b, times: 30 }],
    }),
    startGuest({ name: 'indices-all', steps: [{ cpuidOfEveryLeaf: true }] }),
  ];
  const timer = setInterval(() => {
    for (const { pid } of guests) saveProc(pid, join(folder, 'proc'));
  }, 100);
  for (const guest of guests) await guest.finished();
  clearInterval(timer);
}

/** Vendor firmware calls none of these, so every row is one of the guests'. */
function recordedRows(file: string, procfs: string): string[] {
  const { msrs, cpuid_leaves, hypercalls, lost } = reportOf(`--path.procfs=${procfs}`, file);
  if (lost.events > 0) console.log(`${file}: ${lost.events} events lost`);
  return [
    ...msrs.map(({ vm, direction, msr, count }) => `${vm} msr ${direction} ${msr} ${count}`),
    ...cpuid_leaves.map(({ vm, leaf, count }) => `${vm} cpuid ${leaf} ${count}`),
    ...hypercalls.map(({ vm, number, count }) => `${vm} hypercall ${number} ${count}`),
  ];
}

function liveRows(samples: Samples): string[] {
  const rows = (metric: string, word: string, ...labels: string[]) =>
    samples
      .of(metric)
      .map((sample) =>
        [sample.labels.get('vm'), word, ...labels.map((label) => sample.labels.get(label)), sample.value].join(' '),
      );
  return [
    ...rows('kvm_msr_exits_total', 'msr', 'direction', 'msr'),
    ...rows('kvm_cpuid_exits_total', 'cpuid', 'leaf'),
    ...rows('kvm_hypercalls_total', 'hypercall', 'number'),
  ];
}

/** True if the rows of the two guests are right, and those of the third add up to all leaves. */
function isRight(name: string, rows: readonly string[], maxSeries: number): boolean {
  const all = rows.filter((row) => row.startsWith('indices-all '));
  const own = rows.filter((row) => !all.includes(row)).sort();
  const leaves = all.reduce((sum, row) => sum + Number(row.split(' ').at(-1)), 0);
  console.log(`${name}: ${all.length} series for ${leaves} of ${LEAVES} leaves`);
  for (const row of own) console.log(`  ${row}`);
  return own.join('\n') === WANT.join('\n') && leaves === LEAVES && all.length <= maxSeries;
}

/** True if `perf kvm stat report` counts the same accesses in the recording of perf. */
function perfAgrees(file: string): boolean {
  const args = ['kvm', '-i', file, 'stat', 'report', '--event=msr'];
  const { stdout, stderr } = spawnSync('perf', args, { encoding: 'utf8' });
  // perf prints its tables to stderr.
  const output = `${stdout}${stderr}`;
  const rows = [...output.matchAll(/^\s*(0x[0-9a-f]+:[RW])\s+(\d+) /gm)].map(([, msr, count]) => `${msr} ${count}`);
  console.log(`perf kvm stat report --event=msr: ${rows.join(', ')}`);
  if (rows.length === 0) console.log(output);
  return rows.sort().join('\n') === WANT_PERF.join('\n');
}

const folder = mkdtempSync(join(tmpdir(), 'svm-indices-'));
try {
  const agent = await startAgent({ args: ['--collector.indices'], timeoutMs: PATIENCE_MS });
  const recorders = await startRecorders(folder, EVENTS, ['--collector.indices']);
  await runGuests(folder);
  for (const { stop } of recorders) await stop();
  await sleep(2000);
  const live = liveRows(await agent.scrape());
  const results = [
    isRight('live', live, MAX_SERIES),
    ...recorders.map(({ name, file }) =>
      isRight(name, recordedRows(file, join(folder, 'proc')), Number.POSITIVE_INFINITY),
    ),
    perfAgrees(join(folder, 'perf.data')),
  ];
  if (!results.every(Boolean)) {
    console.log(agent.log());
    process.exitCode = 1;
  }
} finally {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
}
