/**
 * A guest that runs a guest of its own (L2) by AMD SVM; how often each of them does what is known from their code. A
 * live agent counts, and `record`, `trace-cmd record` and `perf record` record. All must have the exits of L2 by
 * reason, and those of the guest itself apart from them. Reasons that no code chooses, such as the host's interrupts,
 * must be those of the kernel's hist trigger. Prints all; the exit code is 1 if one differs.
 *
 * svm.test.ts runs this in an emulated host. Everything is started before the guest, because enabling a tracepoint
 * while vCPUs run can crash an emulated host.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { reportOf } from '../support/agent/run-agent.js';
import { startAgent, TRACEFS, uniqueInstance } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { PATIENCE_MS, saveProc, startRecorders } from '../support/guest/start-recorders.js';
import type { Samples } from '../support/prometheus/samples.js';
import { addHist, readHist, readReasonNames, removeHist } from '../support/trace/hist-trigger.js';

const VM = 'outer';
const EVENTS = ['exit', 'userspace_exit', 'nested_vmexit'].map((name) => `kvm:kvm_${name}`);
const HIST = { event: 'kvm_nested_vmexit', keys: 'exit_reason' };

const ROUNDS = 50;
const CALLS = 4;

/** What the code of L2 does. Each call is handled by the outer guest, all else by KVM. */
const WANT_INNER: ReadonlyMap<string, number> = new Map([
  ['cpuid', 30 * ROUNDS],
  ['io', 20 * ROUNDS],
  ['msr', 10 * ROUNDS],
  ['hypercall', CALLS * ROUNDS],
  ['hlt', ROUNDS],
]);

/** What the code of the outer guest does: one VMRUN at the start of a round, and one after each call. */
const WANT_OUTER: ReadonlyMap<string, number> = new Map([
  ['cpuid', 300],
  ['hypercall', 40],
  ['vmrun', (1 + CALLS) * ROUNDS],
]);

async function runGuest(folder: string): Promise<void> {
  const guest = startGuest({
    name: VM,
    steps: [
      // Four seconds, so that an agent that gets little time sees the VM while it runs.
      { bursts: { out: 0x80, times: 1, everyMs: 20, ticks: 200 } },
      { cpuid: 1, times: 300 },
      { vmmcall: 0x63, times: 40 },
      {
        nested: [
          { cpuid: 1, times: 30 },
          { out: 0x80, times: 20 },
          { rdmsr: 0x1b, times: 10 },
          { vmmcall: 0x63, times: CALLS },
        ],
        times: ROUNDS,
      },
    ],
    extraArgs: ['-cpu', 'host'],
  });
  const timer = setInterval(() => saveProc(guest.pid, join(folder, 'proc')), 100);
  await guest.finished();
  clearInterval(timer);
}

/** Counts by reason: exits of L2, and all exits to KVM. */
interface Counts {
  readonly nested: ReadonlyMap<string, number>;
  readonly all: ReadonlyMap<string, number>;
}

function liveCounts(samples: Samples): Counts {
  const byReason = (metric: string, labels: Readonly<Record<string, string>>) =>
    new Map(
      samples
        .of(metric, { vm: VM, ...labels })
        .map(({ labels, value }) => [labels.get('reason') ?? '', value] as const),
    );
  return {
    nested: byReason('kvm_nested_exits_total', {}),
    all: byReason('kvm_exits_total', { layer: 'kvm' }),
  };
}

function recordedCounts(file: string, procfs: string): Counts {
  const { nested_exits, exits } = reportOf(`--path.procfs=${procfs}`, file);
  const ofVm = <T extends { readonly vm: string }>(rows: readonly T[]) => rows.filter(({ vm }) => vm === VM);
  return {
    nested: new Map(ofVm(nested_exits).map(({ reason, count }) => [reason, count])),
    all: new Map(
      ofVm(exits)
        .filter(({ layer }) => layer === 'kvm')
        .map(({ reason, count }) => [reason, count]),
    ),
  };
}

/** Writes the text of a recording, as the tool that recorded it prints it. */
function textOf(file: string, command: string, ...args: string[]): string {
  const text = `${file}.txt`;
  const { status, stderr } = spawnSync(command, args, { stdio: ['ignore', openSync(text, 'w'), 'pipe'] });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return text;
}

function isRight(name: string, { nested, all }: Counts, hist: ReadonlyMap<string, number>): boolean {
  const wrong: string[] = [];
  const compare = (what: string, got: number, want: number) => {
    if (got !== want) wrong.push(`${what} ${got}, not ${want}`);
  };
  for (const reason of new Set([...hist.keys(), ...nested.keys(), ...WANT_INNER.keys()]))
    compare(`L2 ${reason}`, nested.get(reason) ?? 0, WANT_INNER.get(reason) ?? hist.get(reason) ?? 0);
  for (const [reason, want] of WANT_OUTER)
    compare(`outer guest ${reason}`, (all.get(reason) ?? 0) - (nested.get(reason) ?? 0), want);
  console.log(`${name}: ${wrong.length === 0 ? 'right' : wrong.join(', ')}`);
  const text = (counts: ReadonlyMap<string, number>) =>
    [...counts].map(([reason, count]) => `${reason} ${count}`).join(', ');
  console.log(`  L2: ${text(nested)}\n  all: ${text(all)}`);
  return wrong.length === 0;
}

const folder = mkdtempSync(join(tmpdir(), 'svm-nested-'));
const instance = join(TRACEFS, 'instances', uniqueInstance());
try {
  mkdirSync(instance);
  addHist(instance, HIST);
  const agent = await startAgent({ args: ['--collector.indices'], timeoutMs: PATIENCE_MS });
  const recorders = await startRecorders(folder, EVENTS, ['--collector.indices']);
  await runGuest(folder);
  for (const { stop } of recorders) await stop();
  await sleep(2000);
  const live = liveCounts(await agent.scrape());
  const names = readReasonNames(HIST);
  const hist = new Map(
    readHist(instance, HIST).map(({ exit_reason: reason = 0, hits = 0 }) => [names.get(reason) ?? `${reason}`, hits]),
  );
  console.log('hist trigger:', [...hist].map(([reason, hits]) => `${reason} ${hits}`).join(', '));
  const [dat, data] = [join(folder, 'trace.dat'), join(folder, 'perf.data')];
  const files = [
    ...recorders.map(({ name, file }) => [name, file] as const),
    ['text of trace-cmd', textOf(dat, 'trace-cmd', 'report', '-i', dat)] as const,
    ['text of perf', textOf(data, 'perf', 'script', '-i', data)] as const,
  ];
  const results = [
    isRight('live', live, hist),
    ...files.map(([name, file]) => isRight(name, recordedCounts(file, join(folder, 'proc')), hist)),
  ];
  if (!results.every(Boolean)) {
    console.log(agent.log());
    process.exitCode = 1;
  }
  removeHist(instance, HIST);
  rmdirSync(instance);
} finally {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
}
