import { whoChanges } from '../../advice/who-changes.js';
import { known, rate, textTable, time } from '../../expose/report/text-table.js';
import { estimate, samplingNote } from '../../rates/estimates.js';
import type { Bounded } from '../../rates/period.js';
import type { VmDetail } from '../../rates/vm-detail.js';
import { fit, wrap } from '../../terminal/fit.js';
import { bold } from '../../terminal/styles.js';
import { brief, costText, share, UNKNOWN, vmName } from './columns.js';

/** One VM: findings, reasons, vCPUs, causes, devices, addresses, MSRs and the like. As many lines as there are. */
export function detailView(detail: VmDetail, columns: number): string[] {
  const { vm, sampled_fraction, vcpus, reasons, causes, devices, accesses, purposes, findings } = detail;
  const lines = [
    ...headOf(detail),
    ...section('What to change', findings, (rows) => rows.flatMap((finding) => findingLines(finding, columns))),
    ...section('Reasons, the costliest first', reasons, (rows) =>
      table(
        ['layer', 'reason', 'exits', 'per s', 'time', 'mean', 'p50', 'p99'],
        rows.map((row) => [
          row.layer,
          row.reason,
          row.exits.toLocaleString('en-US'),
          estimate(perSecond(row.exits_per_second), row, sampled_fraction),
          costText(row.seconds_per_second, '') || UNKNOWN,
          ...[row.mean_seconds, row.p50_seconds, row.p99_seconds].map((each) => duration(each)),
        ]),
        2,
      ),
    ),
    ...section('vCPUs', vcpus, (rows) =>
      table(
        ['vCPU', 'KVM/s', 'QEMU/s', 'guest', 'kvm', 'qemu', 'ready', 'idle'],
        rows.map(({ vcpu, time_shares: shares, ...row }) => [
          vcpu || '(unknown)',
          brief(row.kvm_exits_per_second),
          brief(row.qemu_exits_per_second),
          ...(['guest', 'kvm', 'qemu', 'ready', 'idle'] as const).map((state) => share(shares?.[state] ?? null)),
        ]),
        1,
      ),
    ),
    ...section('Which exit led to QEMU', causes, (rows) =>
      table(
        ['exit', 'became', 'times', 'per s'],
        rows.map((row) => [
          row.reason,
          row.userspace_reason,
          row.exits.toLocaleString('en-US'),
          perSecond(row.exits_per_second),
        ]),
        2,
      ),
    ),
    ...section('Devices', devices, (rows) =>
      table(
        ['layer', 'device', 'busiest at', 'accesses', 'per s'],
        rows.map((row) => [
          row.layer,
          row.device ?? UNKNOWN,
          `${row.bus} ${row.address}`,
          row.accesses.toLocaleString('en-US'),
          perSecond(row.accesses_per_second),
        ]),
        3,
      ),
    ),
    ...section('Ports and MMIO pages', accesses, (rows) =>
      table(
        ['layer', 'access', 'address', 'device', 'times', 'per s'],
        rows.map((row) => [
          row.layer,
          `${row.bus} ${row.direction}`,
          row.address,
          row.device ?? UNKNOWN,
          row.accesses.toLocaleString('en-US'),
          perSecond(row.accesses_per_second),
        ]),
        4,
      ),
    ),
    ...section('What other exits were for', purposes, (rows) =>
      table(
        ['event', 'which', 'times', 'per s'],
        rows.map((row) => [row.event, row.which, row.times.toLocaleString('en-US'), perSecond(row.times_per_second)]),
        2,
      ),
    ),
  ];
  return [
    bold(fit(vmName(vm.vm), columns)),
    ...lines.map((line) => (line.startsWith(TITLE) ? bold(fit(line.slice(1), columns)) : fit(line, columns))),
  ];
}

/** Marks a line as the title of a section. It is not printable, so no name has it. */
const TITLE = '\u0001';

function headOf({ vm, seconds, sampled_fraction }: VmDetail): string[] {
  const { guest, kvm, qemu, ready, idle, unknown } = vm.time_shares;
  return [
    `${vm.vcpus ?? UNKNOWN} vCPUs, ${brief(vm.kvm_exits_per_second)} exits/s to KVM, ${brief(vm.qemu_exits_per_second)}/s to QEMU (${share(vm.share_reaching_qemu, 1)}), ${seconds === null ? 'rates follow' : `over ${seconds.toFixed(1)} s`}`,
    `time of its vCPUs: guest ${share(guest)}, KVM ${share(kvm)}, QEMU ${share(qemu)}, ready ${share(ready)}, idle ${share(idle)}, unknown ${share(unknown)}`,
    ...(sampled_fraction === null ? [] : [samplingNote(sampled_fraction)]),
    ...(vm.focused ? ['In focus: all events of this VM are counted, although other VMs are sampled.'] : []),
  ];
}

function section<Row>(
  title: string,
  { rows, more }: Bounded<Row>,
  linesOf: (rows: readonly Row[]) => string[],
): string[] {
  if (rows.length === 0) return [];
  return ['', `${TITLE}${title}`, ...linesOf(rows), ...(more === 0 ? [] : [`... and ${more} more`])];
}

function findingLines(finding: VmDetail['findings']['rows'][number], columns: number): string[] {
  const head = `${finding.title}: ${rate(finding.per_second)}/s, mainly ${finding.mainly}${costText(finding.cost, ', costs ')}${finding.cost === null ? '' : ' of a vCPU'}`;
  return [
    ...wrap(head, columns),
    ...wrap(finding.cause, columns, '  '),
    ...whoChanges(finding.changes).flatMap(([who, what]) => wrap(`${who}: ${what}`, columns, '  ')),
    ...wrap(`more: docs/advice/${finding.advice}.md`, columns, '  '),
  ];
}

function table(heading: readonly string[], rows: readonly (readonly string[])[], firstNumber: number): string[] {
  return textTable(heading, rows, firstNumber).trimEnd().split('\n');
}

function perSecond(value: number | null): string {
  return known(value ?? undefined, rate, UNKNOWN);
}

function duration(seconds: number | null): string {
  return known(seconds ?? undefined, time, UNKNOWN);
}
