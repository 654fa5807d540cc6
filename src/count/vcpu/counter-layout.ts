import { OTHER_ID } from '../../trace/names.js';
import type { Counters } from '../counters/counters.js';

/** More than the table of reason names can hold. */
export const MAX_REASONS = 1024;
/**
 * Pairs of a hardware and a userspace reason that are counted separately; a host has a few dozen. Any more count as
 * `other`/`other`.
 */
const MAX_CAUSES = 2048;

/**
 * The three groups of counters: exits by hardware reason, exits to userspace by reason, and the latter by both reasons.
 */
export type CounterKind = 'exits' | 'userspaceExits' | 'causes';

export interface CounterSlot {
  /** Index of the counter in a vCPU's array. */
  readonly slot: number;
  readonly reason: number;
  /** Reason of the userspace exit that `reason` led to; 0 for the other two kinds. */
  readonly userspaceReason: number;
}

/**
 * Assigns each counter of a vCPU an index, its slot, when an event needs it for the first time. All vCPUs share one
 * layout, so each has a single short array with room for what happens on this host.
 */
export class CounterLayout {
  /** Reason -> slot of its exits; 0: not assigned. */
  readonly exits = new Int16Array(MAX_REASONS);
  /** Reason -> slot of its userspace exits; 0: not assigned. */
  readonly userspaceExits = new Int16Array(MAX_REASONS);
  /** {@link causeIndex} -> slot; 0: not assigned. It has 2 MB, of which hardly any page is ever touched. */
  readonly causes = new Int16Array(MAX_REASONS * MAX_REASONS);
  readonly #slots: Readonly<Record<CounterKind, CounterSlot[]>> = { exits: [], userspaceExits: [], causes: [] };
  #latestSlot = 0;

  exitSlot(reason: number): number {
    return this.#assign(this.exits, 'exits', reason, 0);
  }

  userspaceExitSlot(reason: number): number {
    return this.#assign(this.userspaceExits, 'userspaceExits', reason, 0);
  }

  causeSlot(userspaceReason: number, reason: number): number {
    const known = this.causes[causeIndex(userspaceReason, reason)] as number;
    const isFull = this.#slots.causes.length >= MAX_CAUSES;
    if (known === 0 && isFull) return this.#assign(this.causes, 'causes', OTHER_ID, OTHER_ID);
    return this.#assign(this.causes, 'causes', reason, userspaceReason);
  }

  /** The assigned slots of a kind, sorted by userspace reason, then reason. */
  slots(kind: CounterKind): readonly CounterSlot[] {
    return this.#slots[kind].sort((a, b) => a.userspaceReason - b.userspaceReason || a.reason - b.reason);
  }

  /** Sum of the counters of a kind. */
  total(kind: CounterKind, counters: Counters): number {
    return this.#slots[kind].reduce((sum, { slot }) => sum + (counters[slot] ?? 0), 0);
  }

  #assign(table: Int16Array, kind: CounterKind, reason: number, userspaceReason: number): number {
    const index = causeIndex(userspaceReason, reason);
    const known = table[index] as number;
    if (known > 0) return known;
    const slot = ++this.#latestSlot;
    table[index] = slot;
    this.#slots[kind].push({ slot, reason, userspaceReason });
    return slot;
  }
}

/** Index of a pair of reasons in {@link CounterLayout.causes}. */
export function causeIndex(userspaceReason: number, reason: number): number {
  return userspaceReason * MAX_REASONS + reason;
}
