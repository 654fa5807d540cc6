/**
 * Places for what is counted of each vCPU: exits by reason, exits to userspace by reason, and these by what led to them. One table for all
 * vCPUs, so that each has one short array of counts, with room for what happens on this host and no more.
 */
import { OTHER_ID } from '../../trace/names.js';
import type { Counters } from '../counters/counters.js';

/** More names than a Names table for reasons holds. */
export const MAX_REASONS = 1024;
/** Pairs of a hardware and a userspace reason that are told apart; a host has some dozens. What comes later is `other`, of `other`. */
const MAX_CAUSES = 2048;

type Kind = 'kvm' | 'qemu' | 'causes';

export interface CounterSlot {
  readonly slot: number;
  readonly reason: number;
  /** Of causes only, else 0. */
  readonly userspaceReason: number;
}

export class CounterLayout {
  /** By reason; 0: none yet. */
  readonly kvm = new Int16Array(MAX_REASONS);
  readonly qemu = new Int16Array(MAX_REASONS);
  /** By {@link causeIndex}. Large, but hardly any of it is ever touched. */
  readonly causes = new Int16Array(MAX_REASONS * MAX_REASONS);
  readonly #lists: Readonly<Record<Kind, CounterSlot[]>> = { kvm: [], qemu: [], causes: [] };
  #used = 0;

  kvmSlot(reason: number): number {
    return this.#slot(this.kvm, 'kvm', reason, 0);
  }

  qemuSlot(reason: number): number {
    return this.#slot(this.qemu, 'qemu', reason, 0);
  }

  causeSlot(userspaceReason: number, reason: number): number {
    const known = this.causes[causeIndex(userspaceReason, reason)] as number;
    const isFull = this.#lists.causes.length >= MAX_CAUSES;
    if (known === 0 && isFull) return this.#slot(this.causes, 'causes', OTHER_ID, OTHER_ID);
    return this.#slot(this.causes, 'causes', reason, userspaceReason);
  }

  /** By userspace reason and reason. */
  slots(kind: Kind): readonly CounterSlot[] {
    return this.#lists[kind].sort((a, b) => a.userspaceReason - b.userspaceReason || a.reason - b.reason);
  }

  /** All that `cells` have of a kind. */
  total(kind: Kind, cells: Counters): number {
    return this.#lists[kind].reduce((sum, { slot }) => sum + (cells[slot] ?? 0), 0);
  }

  #slot(table: Int16Array, kind: Kind, reason: number, userspaceReason: number): number {
    const index = causeIndex(userspaceReason, reason);
    const known = table[index] as number;
    if (known > 0) return known;
    const slot = ++this.#used;
    table[index] = slot;
    this.#lists[kind].push({ slot, reason, userspaceReason });
    return slot;
  }
}

export function causeIndex(userspaceReason: number, reason: number): number {
  return userspaceReason * MAX_REASONS + reason;
}
