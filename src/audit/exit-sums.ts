import { AUDIT_CHECKS } from './checks.js';

/** Exits of one VM, added up for each check. */
export interface ExitSums {
  /** The number of exits of each check, indexed as AUDIT_CHECKS. */
  readonly ofCheck: readonly number[];
  readonly ofLayer: { readonly kvm: number; readonly qemu: number };
  /** Exits whose reason only the guest knows, because its memory and registers are encrypted (SEV-ES, TDX). */
  readonly encrypted: number;
}

interface Exit {
  readonly vm: string;
  readonly layer: string;
  readonly reason: string;
  readonly count: number;
}

const ENCRYPTED = new Set(['vmgexit', 'TDCALL']);

/** Layer and reason -> indexes in AUDIT_CHECKS. */
const CHECKS = new Map<string, number[]>();
AUDIT_CHECKS.forEach(({ layer, reasons = [] }, index) => {
  for (const reason of reasons) {
    const key = `${layer} ${reason}`;
    CHECKS.set(key, [...(CHECKS.get(key) ?? []), index]);
  }
});

/** Adds up exits by VM. */
export function sumExits(exits: Iterable<Exit>): Map<string, ExitSums> {
  const sums = new Map<string, { ofCheck: number[]; ofLayer: { kvm: number; qemu: number }; encrypted: number }>();
  for (const { vm, layer, reason, count } of exits) {
    if (layer !== 'kvm' && layer !== 'qemu') continue;
    let own = sums.get(vm);
    if (own === undefined) {
      own = { ofCheck: AUDIT_CHECKS.map(() => 0), ofLayer: { kvm: 0, qemu: 0 }, encrypted: 0 };
      sums.set(vm, own);
    }
    own.ofLayer[layer] += count;
    if (layer === 'kvm' && ENCRYPTED.has(reason)) own.encrypted += count;
    for (const index of CHECKS.get(`${layer} ${reason}`) ?? []) (own.ofCheck[index] as number) += count;
  }
  for (const { ofCheck, ofLayer } of sums.values())
    AUDIT_CHECKS.forEach(({ layer, reasons }, index) => {
      if (reasons === undefined) ofCheck[index] = ofLayer[layer];
    });
  return sums;
}

/** The exits between two moments. */
export function exitsBetween(before: ExitSums, after: ExitSums): ExitSums {
  return {
    ofCheck: after.ofCheck.map((sum, index) => sum - (before.ofCheck[index] ?? 0)),
    ofLayer: {
      kvm: after.ofLayer.kvm - before.ofLayer.kvm,
      qemu: after.ofLayer.qemu - before.ofLayer.qemu,
    },
    encrypted: after.encrypted - before.encrypted,
  };
}
