/**
 * Records three guests with `record`, `trace-cmd record` and `perf record` at the same time, and compares what `report`
 * counts in the three files: exits, accesses, causes, the number of durations. One guest is stopped but not ended when
 * the recordings end, so that KVM's statistics of it must equal the counts of `record` to the exit. The exits and the
 * checks are printed; the exit code is 1 if a table or a check differs, or if events were lost.
 *
 * This needs a host whose guests raise kvm_exit; svm.test.ts runs it in an emulated host. The recorders are started
 * before the guests, because enabling a tracepoint while vCPUs run can crash an emulated host.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReportData } from '../../src/expose/report/report.js';
import { Qmp } from '../../src/source/qemu/qmp.js';
import { reportOf } from '../support/agent/run-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { waitForLog } from '../support/guest/agent-checks.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import { startProgram } from '../support/guest/start-program.js';

const EVENTS = ['exit', 'entry', 'userspace_exit', 'pio', 'mmio'].map((name) => `kvm:kvm_${name}`);
/** Time for a recorder to start; an emulated host is slow. */
const PATIENCE_MS = 120_000;
const BUFFER_MIB = 32;
const OUTS = 4000;

interface Recorder {
  readonly name: string;
  readonly file: string;
  stop(): Promise<void>;
}

async function startOurs(file: string): Promise<Recorder> {
  const program = startProgram(['record', '-o', file, `--tracefs.buffer-size=${BUFFER_MIB}MiB`]);
  await waitForLog(program, 'msg=recording', PATIENCE_MS);
  const stop = async () => {
    program.process.kill('SIGINT');
    await program.ended();
    console.log(program.output());
  };
  return { name: 'record', file, stop };
}

/** Starts a recorder that runs a command, which it does once it records, and that ends when the command ends. */
async function startTool(file: string, name: string, ...args: string[]): Promise<Recorder> {
  const command = ['sh', '-c', 'echo started; exec cat'];
  const child = spawn(name, [...args, '-o', file, ...command], { stdio: ['pipe', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (text) => {
      texts[stream] += text;
    });
  const forget = endLater(() => kill(child));
  const deadline = Date.now() + PATIENCE_MS;
  while (!texts.stdout.includes('started')) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${name} does not record: ${texts.stderr}`);
    await sleep(50);
  }
  const stop = async () => {
    const ended = once(child, 'close');
    child.stdin.end();
    await ended;
    forget();
    if (child.exitCode !== 0) throw new Error(`${name} ended with ${child.exitCode}: ${texts.stderr}`);
  };
  return { name, file, stop };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}

/** Saves what names a VM and its threads: the recordings of the other tools do not have it. */
function saveProc(pid: number, target: string): void {
  const files = ['cmdline', 'comm', 'stat', 'status', 'cgroup'].map((file) => `${pid}/${file}`);
  const contents = new Map<string, Buffer>();
  try {
    for (const tid of readdirSync(`/proc/${pid}/task`))
      for (const file of ['comm', 'stat', 'status']) files.push(`${pid}/task/${tid}/${file}`);
    for (const file of files) contents.set(file, readFileSync(join('/proc', file)));
  } catch {
    // The guest, or a thread of it, has ended.
  }
  // A process that has ended and was not waited for has no command line any more.
  if (contents.size < files.length || contents.get(`${pid}/cmdline`)?.length === 0) return;
  for (const [file, content] of contents) {
    mkdirSync(dirname(join(target, file)), { recursive: true });
    writeFileSync(join(target, file), content);
  }
}

/** Returns the guest that is stopped but has not ended. */
async function runGuests(folder: string): Promise<RunningGuest> {
  const unmapped = 0x1000_0000;
  const guests = [
    startGuest({
      name: 'three-a',
      vcpus: 2,
      steps: [
        { out: 0x80, times: OUTS },
        { cpuid: true, times: 700 },
      ],
      secondarySteps: [{ out: 0x80, times: 3000 }],
    }),
    startGuest({
      name: 'three-b',
      steps: [
        { in: 0x402, times: 2000 },
        { mmioRead: unmapped, times: 900 },
        { mmioWrite: unmapped, times: 600 },
      ],
    }),
  ];
  const qmp = join(folder, 'qmp');
  const stopped = startGuest({
    name: 'three-c',
    steps: [{ mmioRead: unmapped, times: 300 }, { bursts: { out: 0x80, times: 10, everyMs: 20 } }],
    extraArgs: ['-qmp', `unix:${qmp},server=on,wait=off`],
  });
  const timer = setInterval(() => {
    for (const { pid } of [...guests, stopped]) saveProc(pid, join(folder, 'proc'));
  }, 100);
  for (const guest of guests) await guest.finished();
  clearInterval(timer);
  const monitor = await Qmp.connect(qmp, PATIENCE_MS);
  await monitor.monitor('stop');
  monitor.close();
  return stopped;
}

/** The tables that must be equal, as lines. */
function linesOf({ exits, io, causes, durations, vms }: ReportData): Map<string, string[]> {
  const lines = (rows: readonly object[]) => rows.map((row) => Object.values(row).join(' ')).sort();
  return new Map([
    ['exits', lines(exits)],
    ['io', lines(io)],
    ['causes', lines(causes)],
    ['durations', lines(durations.map(({ vm, layer, reason, count }) => ({ vm, layer, reason, count })))],
    ['vms', lines(vms.map(({ vm, vcpus }) => ({ vm, vcpus })))],
  ]);
}

/** False if the tables of the recordings differ, if one lacks events, or if they lack what the guest did. */
function compare(reports: readonly { readonly name: string; readonly report: ReportData }[]): boolean {
  const [first, ...further] = reports.map(({ name, report }) => ({ name, report, lines: linesOf(report) }));
  if (first === undefined) return false;
  let equal = true;
  for (const { name, report } of reports) {
    console.log(`${name}: lost ${JSON.stringify(report.lost)}, malformed ${JSON.stringify(report.malformed)}`);
    equal &&= report.lost.events === 0 && report.lost.unknown_gaps === 0 && Object.keys(report.malformed).length === 0;
  }
  console.log(first.lines.get('exits')?.join('\n'));
  for (const { name, lines } of further)
    for (const [table, rows] of first.lines) {
      const own = new Set(lines.get(table));
      const missing = rows.filter((row) => !own.delete(row));
      console.log(`${name}: ${table}: ${rows.length - missing.length} of ${rows.length} rows equal`);
      for (const row of missing) console.log(`  only ${first.name}: ${row}`);
      for (const row of own) console.log(`  only ${name}: ${row}`);
      equal &&= missing.length === 0 && own.size === 0;
    }
  // The last exit of each guest is an `out` too.
  const ofGuest = first.report.exits.filter(({ vm, vcpu, reason }) => `${vm} ${vcpu} ${reason}` === 'three-a 0 io');
  return equal && ofGuest.some(({ count }) => count === OUTS + 1);
}

/** False if one of KVM's statistics of the guest that was stopped differs from our count, or if none was saved. */
function agreesWithKvm(report: ReportData | undefined): boolean {
  const checks = report?.audit.filter(({ vm }) => vm === 'three-c') ?? [];
  for (const { check, kvm, counted } of checks) console.log(`audit: ${check}: KVM ${kvm}, counted ${counted}`);
  const moved = checks.filter(({ kvm }) => kvm > 0).length;
  return moved >= 4 && checks.every(({ kvm, counted }) => counted === kvm);
}

const folder = mkdtempSync(join(tmpdir(), 'three-recorders-'));
try {
  const path = (name: string) => join(folder, name);
  const size = `${BUFFER_MIB * 1024}`;
  const recorders = [
    await startOurs(path('vm.dat')),
    await startTool(path('trace.dat'), 'trace-cmd', 'record', '-b', size, ...EVENTS.flatMap((event) => ['-e', event])),
    await startTool(path('perf.data'), 'perf', 'record', '-a', '-m', `${BUFFER_MIB}M`, '-e', EVENTS.join(',')),
  ];
  const stopped = await runGuests(folder);
  for (const { stop } of recorders) await stop();
  await stopped.kill();
  const procfs = `--path.procfs=${path('proc')}`;
  const reports = recorders.map(({ name, file }) => ({ name, report: reportOf(procfs, file) }));
  const isEqual = [compare(reports), agreesWithKvm(reports[0]?.report)].every(Boolean);
  process.exitCode = isEqual ? 0 : 1;
} finally {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
}
