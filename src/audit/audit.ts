/**
 * Holds our counts of exits against KVM's own statistics (PURE). Both are of the same VM and the same time.
 *
 *   check       KVM    ours  ratio
 *   exits     4,171   4,171      1
 *   io_exits      0   3,359         not comparable: KVM does not count io_exits on this host
 */
import { AUDIT_CHECKS, type AuditCheck } from './checks.js';
import type { ExitSums } from './exit-sums.js';

export interface AuditRow {
  readonly check: string;
  readonly kvm: number;
  /** NaN if the layer was not traced. */
  readonly ours: number;
  /** Ours by KVM's; NaN if nothing happened, or if the two cannot be compared. */
  readonly ratio: number;
  /** Why the two cannot be compared; '' if they can. */
  readonly obstacle: string;
}

/** What the trace shows, whether of this VM or of another. */
export interface TracedLayers {
  readonly kvm: boolean;
  readonly qemu: boolean;
}

/** Rows for the checks whose statistics this VM has: they differ by architecture. */
export function auditVm(ours: ExitSums, kvm: ReadonlyMap<string, number>, traced: TracedLayers): AuditRow[] {
  return AUDIT_CHECKS.flatMap((check, index) => {
    const values = check.statistics.map((name) => kvm.get(name) ?? Number.NaN);
    const sum = values.reduce((total, value) => total + value, 0);
    return Number.isNaN(sum) ? [] : [auditRow(check, ours.ofCheck[index] as number, sum, ours, kvm, traced)];
  });
}

function auditRow(
  { check, statistics, layer, reasons }: AuditCheck,
  count: number,
  kvm: number,
  exits: ExitSums,
  statisticsOfVm: ReadonlyMap<string, number>,
  traced: TracedLayers,
): AuditRow {
  const names = statistics.join(' + ');
  const isByReason = layer === 'kvm' && reasons !== undefined;
  const obstacles: readonly (readonly [applies: boolean, obstacle: string])[] = [
    [!traced[layer], `the trace has no ${layer === 'kvm' ? 'kvm_exit' : 'kvm_userspace_exit'}`],
    [isByReason && exits.encrypted > 0, 'the guest is encrypted, so its exits do not show their reason'],
    [isByReason && (statisticsOfVm.get('nested_run') ?? 0) > 0, 'the VM runs VMs of its own, whose exits count too'],
    [kvm === 0 && count > 0, `${names} does not move while such exits happen; KVM does not count them on this host`],
  ];
  const obstacle = obstacles.find(([applies]) => applies)?.[1] ?? '';
  return {
    check,
    kvm,
    ours: traced[layer] ? count : Number.NaN,
    ratio: obstacle !== '' || kvm === 0 ? Number.NaN : count / kvm,
    obstacle,
  };
}
