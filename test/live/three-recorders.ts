/**
 * Records three guests with `record`, `trace-cmd record` and `perf record` at the same time, and compares what `report`
 * counts in the three files: exits, accesses, causes, the number of durations. One guest is stopped but not ended when
 * the recordings end, so that KVM's statistics of it must equal the counts of `record` to the exit. The exits and the
 * checks are printed; the exit code is 1 if a table or a check differs, or if events were lost.
 *
 * This needs a host whose guests raise kvm_exit; svm.test.ts runs it in an emulated host. The recorders are started
 * before the guests, because enabling a tracepoint while vCPUs run can crash an emulated host.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReportData } from '../../src/expose/report/report.js';
import { Qmp } from '../../src/source/qemu/qmp.js';
import { reportOf } from '../support/agent/run-agent.js';
import { endAll } from '../support/end-later.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import { PATIENCE_MS, saveProc, startRecorders } from '../support/guest/start-recorders.js';

const EVENTS = ['exit', 'entry', 'userspace_exit', 'pio', 'mmio'].map((name) => `kvm:kvm_${name}`);
const OUTS = 4000;

/** Returns the guest that is stopped but has not ended. */
async function runGuests(folder: string): Promise<RunningGuest> {
  const unmapped = 0x1000_0000;
  const guests = [
    startGuest({
      name: 'three-a',
      vcpus: 2,
      steps: [
        { out: 0x80, times: OUTS },
        { cpuid: 0, times: 700 },
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
  const recorders = await startRecorders(folder, EVENTS);
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
