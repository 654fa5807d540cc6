import type { RecordedCheck } from '../../audit/audit-recording.js';
import type { Ranking } from './ranking.js';
import { amount, moreRows, textTable, vmCell } from './text-table.js';

/** A check as JSON has it; null for a figure that is not known. */
export interface JsonCheck {
  readonly vm: string;
  readonly check: string;
  readonly kvm_at_least: number;
  readonly kvm: number;
  readonly counted: number | null;
  readonly ratio: number | null;
  readonly not_comparable: string | null;
}

/** Names of {@link JsonCheck}, in their order. */
export const CHECK_COLUMNS: readonly (keyof JsonCheck)[] = [
  'vm',
  'check',
  'kvm_at_least',
  'kvm',
  'counted',
  'ratio',
  'not_comparable',
];

export function jsonCheck({ vm, check, kvmAtLeast, kvm, ours, ratio, obstacle }: RecordedCheck): JsonCheck {
  return {
    vm,
    check,
    kvm_at_least: kvmAtLeast,
    kvm,
    counted: numberOrNull(ours),
    ratio: numberOrNull(ratio),
    not_comparable: obstacle === '' ? null : obstacle,
  };
}

/**
 * The checks in which anything happened; the one with the largest difference comes first.
 *
 *   VM    check     counted  KVM counted  ratio
 *   vm-a  exits       4,171        4,171  1.000
 *   vm-a  io_exits    3,359            0      -
 *   Not comparable: io_exits: io_exits does not move while such exits happen; ...
 */
export function auditTable(checks: readonly RecordedCheck[], ranking: Ranking): string[] {
  const moved = checks.filter(({ kvm, ours }) => kvm > 0 || ours > 0);
  const { shown, hidden } = ranking.select(moved, (a, b) => differenceOf(b) - differenceOf(a));
  if (shown.length === 0) return [];
  const rows = shown.map((row) => [
    vmCell(row.vm),
    row.check,
    Number.isNaN(row.ours) ? '-' : amount(row.ours),
    row.kvmAtLeast === row.kvm ? amount(row.kvm) : `${amount(row.kvmAtLeast)} to ${amount(row.kvm)}`,
    Number.isNaN(row.ratio) ? '-' : row.ratio.toFixed(3),
  ]);
  const table = textTable(['VM', 'check', 'counted', 'KVM counted', 'ratio'], rows, 2);
  const obstacles = new Map(
    shown.filter(({ obstacle }) => obstacle !== '').map(({ check, obstacle }) => [check, obstacle]),
  );
  const notes = Array.from(obstacles, ([check, obstacle]) => `Not comparable: ${check}: ${obstacle}.\n`);
  return [`Checked against KVM's own statistics\n\n${table}${notes.join('')}${moreRows(hidden)}`];
}

/** How far the ratio is from 1; 0 if there is none. */
function differenceOf({ ratio }: RecordedCheck): number {
  return Number.isNaN(ratio) ? 0 : Math.abs(1 - ratio);
}

function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
