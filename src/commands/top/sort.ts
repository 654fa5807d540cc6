import type { VmRow } from '../../rates/vm-row.js';

/** What the VMs are ordered by. The largest figure comes first; those that are not known come last. */
export const SORTS = {
  qemu: { title: 'exits to QEMU', figure: (row: VmRow) => row.qemu_exits_per_second },
  time: { title: 'time in KVM and QEMU', figure: (row: VmRow) => row.time_outside_guest },
  share: { title: 'share reaching QEMU', figure: (row: VmRow) => row.share_reaching_qemu },
  exits: { title: 'exits to KVM', figure: (row: VmRow) => row.kvm_exits_per_second },
  ready: { title: 'waiting for a CPU', figure: (row: VmRow) => row.time_shares.ready },
  finding: { title: 'cost of the finding', figure: (row: VmRow) => row.finding && (row.finding.cost ?? 0) },
  name: { title: 'name', figure: () => null },
} as const;

export type Sort = keyof typeof SORTS;

// Object.keys() does not know that SORTS has no further keys.
export const SORT_NAMES = Object.keys(SORTS) as readonly Sort[];

/** `vm-2` comes before `vm-10`. A collator takes a quarter of the time of localeCompare(). */
const NAMES = new Intl.Collator('en', { numeric: true });

export function sorted(rows: readonly VmRow[], sort: Sort, isReversed = false): VmRow[] {
  const { figure } = SORTS[sort];
  const direction = isReversed ? -1 : 1;
  const byName = (a: VmRow, b: VmRow) => NAMES.compare(a.vm, b.vm);
  return [...rows].sort((a, b) => {
    const [first, second] = [figure(a), figure(b)];
    if (first === null || second === null) {
      if (first === second) return sort === 'name' ? direction * byName(a, b) : byName(a, b);
      return first === null ? 1 : -1;
    }
    return direction * (second - first) || byName(a, b);
  });
}
