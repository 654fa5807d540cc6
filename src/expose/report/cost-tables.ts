import { exitPurposes } from '../../snapshot/exit-purposes.js';
import type { VcpuTimes } from '../../snapshot/tables/vcpu-times.js';
import type { Ranking } from './ranking.js';
import type { Recorded } from './recorded.js';
import { knownTimes } from './shown.js';
import { amount, known, section, time, vmCell } from './text-table.js';

/** Tables of what exits cost and what causes them. A table without rows is left out. */
export function costTables(recorded: Recorded, ranking: Ranking): string[] {
  return [costliest, vcpuTimes, causes, busiest, purposes, eventfds]
    .map((table) => table(recorded, ranking))
    .filter((text) => text !== '');
}

/**
 *   VM    layer  reason        exits     time     mean      p50      p99      max
 *   vm-a  qemu   KVM_EXIT_IO  75,338    166 s   2.2 ms  1.55 ms  12.3 ms  85.1 ms
 */
function costliest({ snapshot: { durations } }: Recorded, ranking: Ranking): string {
  return section(
    'What they cost: from the exit to the next entry (layer qemu: from the return of KVM_RUN; unknown: time in QEMU included)',
    ['VM', 'layer', 'reason', 'exits', 'time', 'mean', 'p50', 'p99', 'max'],
    ranking.select(durations, (a, b) => b.sumSeconds - a.sumSeconds),
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

/** A recording does not show waits for a host CPU: they are in the times in KVM, in QEMU and idle. */
function vcpuTimes(recorded: Recorded, ranking: Ranking): string {
  const lost = ({ kvmSeconds = 0, qemuSeconds = 0, readySeconds = 0 }: VcpuTimes) =>
    kvmSeconds + qemuSeconds + readySeconds;
  const isLive = recorded.isLive === true;
  return section(
    `Where the time of vCPUs went${isLive ? '' : ' (waits for a host CPU included)'}`,
    ['VM', 'vCPU', 'guest', 'in KVM', 'in QEMU', ...(isLive ? ['ready'] : []), 'idle'],
    ranking.select(
      knownTimes(recorded).filter((row) => lost(row) + (row.idleSeconds ?? 0) > 0),
      (a, b) => lost(b) - lost(a),
    ),
    ({ vm, vcpu, guestSeconds, kvmSeconds, qemuSeconds, readySeconds, idleSeconds }) => [
      vmCell(vm),
      vcpu,
      ...[guestSeconds, kvmSeconds, qemuSeconds, ...(isLive ? [readySeconds] : []), idleSeconds].map((seconds) =>
        known(seconds, time),
      ),
    ],
    2,
  );
}

function causes({ snapshot: { causes: counts } }: Recorded, ranking: Ranking): string {
  return section(
    'Which hardware exit led to QEMU',
    ['VM', 'exit', 'became', 'times'],
    ranking.select(
      counts.filter(({ reason }) => reason !== 'none'),
      byCount,
    ),
    ({ vm, reason, userspaceReason, count }) => [vmCell(vm), reason, userspaceReason, amount(count)],
    3,
  );
}

function busiest({ snapshot: { io } }: Recorded, ranking: Ranking): string {
  return section(
    'Busiest ports and MMIO pages (layer qemu: QEMU had to answer)',
    ['VM', 'layer', 'access', 'address', 'device', 'times'],
    ranking.select(io, (a, b) => Number(a.address === 'other') - Number(b.address === 'other') || byCount(a, b)),
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

/**
 * What the exits were for, as far as the recording has the events that say so (collector `indices`):
 *
 *   VM     event      which                times
 *   vmx-a  MSR write  IA32_TSC_DEADLINE   12,345
 *   vmx-a  CPUID      0x0                     40
 */
function purposes({ snapshot }: Recorded, ranking: Ranking): string {
  return section(
    'What other exits were for',
    ['VM', 'event', 'which', 'times'],
    ranking.select(
      exitPurposes(snapshot),
      (a, b) => Number(a.which === 'other') - Number(b.which === 'other') || b.count - a.count,
    ),
    ({ vm, event, which, count }) => [vmCell(vm), event, which, amount(count)],
    3,
  );
}

function eventfds({ snapshot: { eventfds: counts } }: Recorded, ranking: Ranking): string {
  return section(
    'Signals that need no exit to QEMU',
    ['VM', 'kind', 'seen by', 'device', 'times'],
    ranking.select(
      counts.filter(({ count }) => count > 0),
      byCount,
    ),
    ({ vm, kind, seenBy, device, count }) => [vmCell(vm), kind, seenBy, device, amount(count)],
    4,
  );
}

function byCount(a: { readonly count: number }, b: { readonly count: number }): number {
  return b.count - a.count;
}
