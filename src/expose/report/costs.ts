/** What exits cost and what causes them, as tables; each only where the recording tells it. */
import type { Snapshot } from '../../snapshot/snapshot.js';
import { amount, table, time, topRows } from './table.js';

/** Rows of each VM: the worst ones are at the top, and a screen is a screen. */
const ROWS = 10;

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
  const rows = [...durations].sort((a, b) => compare(a.vm, b.vm) || b.sumSeconds - a.sumSeconds);
  return section(
    'What they cost: from the exit to the next entry (layer qemu: from the return of KVM_RUN)',
    ['VM', 'layer', 'reason', 'exits', 'time', 'mean', 'p50', 'p99', 'max'],
    rows,
    ({ vm, layer, reason, count, sumSeconds, p50Seconds, p99Seconds, maxSeconds }) => [
      name(vm),
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
    'Where the vCPUs were while not in their guests',
    ['VM', 'vCPU', 'in KVM', 'in QEMU', 'idle'],
    rows,
    ({ vm, vcpu, kvmSeconds, qemuSeconds, idleSeconds }) => [
      name(vm),
      vcpu,
      time(kvmSeconds),
      time(qemuSeconds),
      time(idleSeconds),
    ],
    2,
  );
}

function causes({ causes: counts }: Snapshot): string {
  const rows = counts
    .filter(({ reason }) => reason !== 'none')
    .sort((a, b) => compare(a.vm, b.vm) || b.count - a.count);
  return section(
    'Which hardware exit led to QEMU',
    ['VM', 'exit', 'became', 'times'],
    rows,
    ({ vm, reason, userspaceReason, count }) => [name(vm), reason, userspaceReason, amount(count)],
    3,
  );
}

function busiest({ io }: Snapshot): string {
  const rows = [...io].sort(
    (a, b) => compare(a.vm, b.vm) || Number(a.address === 'other') - Number(b.address === 'other') || b.count - a.count,
  );
  return section(
    'Busiest ports and MMIO pages (layer qemu: QEMU had to answer)',
    ['VM', 'layer', 'access', 'address', 'device', 'times'],
    rows,
    ({ vm, layer, bus, direction, address, device, count }) => [
      name(vm),
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
    'The other road: signals that need no exit to QEMU',
    ['VM', 'kind', 'seen by', 'device', 'times'],
    counts.filter(({ count }) => count > 0),
    ({ vm, kind, seenBy, device, count }) => [name(vm), kind, seenBy, device, amount(count)],
    4,
  );
}

function section<T extends { readonly vm: string }>(
  title: string,
  heading: readonly string[],
  rows: readonly T[],
  cells: (row: T) => string[],
  firstNumber: number,
): string {
  if (rows.length === 0) return '';
  const { shown, hidden } = topRows(rows, ROWS, ({ vm }) => vm);
  const more = hidden > 0 ? `... and ${amount(hidden)} more (--format json has them all)\n` : '';
  return `${title}\n\n${table(heading, shown.map(cells), firstNumber)}${more}`;
}

function name(vm: string): string {
  return vm === '' ? '(unknown)' : vm;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
