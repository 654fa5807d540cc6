import type { Snapshot } from './snapshot.js';

/** The tables of the collector `indices`. */
export type PurposeTables = Pick<
  Snapshot,
  'msrs' | 'cpuidLeaves' | 'hypercalls' | 'nestedExits' | 'ghcbExits' | 'pageFaults' | 'apicvInhibits'
>;

/** What exits of a VM were for. */
export interface ExitPurpose {
  readonly vm: string;
  /** `MSR write`, `CPUID`, `page fault` ... */
  readonly event: string;
  /** Name or number of the register, leaf, call ...; `other` for the sum of the rest. */
  readonly which: string;
  readonly count: number;
}

/** The rows of all tables that say what exits were for, as people read them. */
export function exitPurposes(tables: PurposeTables): ExitPurpose[] {
  const { msrs, cpuidLeaves, hypercalls, nestedExits, ghcbExits, pageFaults, apicvInhibits } = tables;
  return [
    ...msrs.map(({ vm, direction, msr, count }) => ({ vm, event: `MSR ${direction}`, which: msr, count })),
    ...cpuidLeaves.map(({ vm, leaf, count }) => ({ vm, event: 'CPUID', which: leaf, count })),
    ...hypercalls.map(({ vm, kind, number, count }) => ({ vm, event: `hypercall (${kind})`, which: number, count })),
    ...nestedExits.map(({ vm, reason, count }) => ({ vm, event: 'nested exit', which: reason, count })),
    ...ghcbExits.map(({ vm, reason, count }) => ({ vm, event: 'GHCB exit', which: reason, count })),
    ...pageFaults.map(({ vm, kind, count }) => ({ vm, event: 'page fault', which: kind.replace('_', ' '), count })),
    ...apicvInhibits.map(({ vm, reason, count }) => ({ vm, event: 'APICv kept off', which: reason, count })),
  ].filter(({ count }) => count > 0);
}
