import type { Snapshot } from '../../snapshot/snapshot.js';
import { amount, compareText, textTable, time, topRows, vmCell } from './text-table.js';

/** Rows shown of each VM: the worst ones come first, and a screen is small. */
const MAX_ROWS = 10;

/** Tables of what exits cost and what causes them. A table without rows is left out. */
export function costTables(snapshot: Snapshot): string[] {
  return [costliest(snapshot), outside(snapshot), causes(snapshot), busiest(snapshot), eventfds(snapshot)].filter(
    (text) => text !== '',
  );
}

/**
 *   VM    layer  reason        exits     time     mean      p50      p99      max
 *   vm-a  qemu   KVM_EXIT_IO  75,338    166 s   2.2 ms  1.55 ms  12.3 ms  85.1 ms
 */
function costliest({ durations }: Snapshot): string {
  const rows = [...durations].sort((a, b) => compareText(a.vm, b.vm) || b.sumSeconds - a.sumSeconds);
  return section(
    'What they cost: from the exit to the next entry (layer qemu: from the return of KVM_RUN)',
    ['VM', 'layer', 'reason', 'exits', 'time', 'mean', 'p50', 'p99', 'max'],
    rows,
    ({ vm, layer, reason, count, sumSeconds, p50Seconds, p99Seconds, maxSeconds }) => [
      vmCell(vm),
      layer,
      reason,
      amount(count),
      time(sumSeconds),
      time(sumSeconds / count),
      time(p50Seconds),
      time(p99Seconds),
      time(maxSeconds),
    ],
    3,
  );
}

function outside({ outside: times }: Snapshot): string {
  const rows = times.filter(({ kvmSeconds, qemuSeconds, idleSeconds }) => kvmSeconds + qemuSeconds + idleSeconds > 0);
  return section(
    'Time that vCPUs spent outside their guests',
    ['VM', 'vCPU', 'in KVM', 'in QEMU', 'idle'],
    rows,
    ({ vm, vcpu, kvmSeconds, qemuSeconds, idleSeconds }) => [
      vmCell(vm),
      vcpu,
      time(kvmSeconds),
      time(qemuSeconds),
      time(idleSeconds),
    ],
    2,
  );
}

function causes({ causes: counts }: Snapshot): string {
  const rows = counts.filter(({ reason }) => reason !== 'none');
  return section(
    'Which hardware exit led to QEMU',
    ['VM', 'exit', 'became', 'times'],
    [...rows].sort((a, b) => compareText(a.vm, b.vm) || b.count - a.count),
    ({ vm, reason, userspaceReason, count }) => [vmCell(vm), reason, userspaceReason, amount(count)],
    3,
  );
}

function busiest({ io }: Snapshot): string {
  const rows = [...io].sort(
    (a, b) =>
      compareText(a.vm, b.vm) || Number(a.address === 'other') - Number(b.address === 'other') || b.count - a.count,
  );
  return section(
    'Busiest ports and MMIO pages (layer qemu: QEMU had to answer)',
    ['VM', 'layer', 'access', 'address', 'device', 'times'],
    rows,
    ({ vm, layer, bus, direction, address, device, count }) => [
      vmCell(vm),
      layer,
      `${bus} ${direction}`,
      address,
      device,
      amount(count),
    ],
    5,
  );
}

function eventfds({ eventfds: counts }: Snapshot): string {
  return section(
    'Signals that need no exit to QEMU',
    ['VM', 'kind', 'seen by', 'device', 'times'],
    counts.filter(({ count }) => count > 0),
    ({ vm, kind, seenBy, device, count }) => [vmCell(vm), kind, seenBy, device, amount(count)],
    4,
  );
}

function section<Row extends { readonly vm: string }>(
  title: string,
  heading: readonly string[],
  rows: readonly Row[],
  cells: (row: Row) => string[],
  firstNumber: number,
): string {
  if (rows.length === 0) return '';
  const { shown, hidden } = topRows(rows, MAX_ROWS, ({ vm }) => vm);
  const more = hidden > 0 ? `... and ${amount(hidden)} more (--format json has them all)\n` : '';
  return `${title}\n\n${textTable(heading, shown.map(cells), firstNumber)}${more}`;
}
