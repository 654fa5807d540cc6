import { addCounters, type Counters, newCounters, withRoomFor } from '../counters/counters.js';
import { plainCounts } from '../counters/duration-histogram.js';
import { KINDS, kindOf } from '../counters/key-table.js';
import type { VmTotals } from '../totals/vm-totals.js';
import type { Weights } from './sampled-exits.js';

/** Index of each figure in the part {@link SINGLE}. */
export const UNPAIRED_KVM = 0;
export const UNPAIRED_QEMU = 1;
export const KICKS = 2;
export const INTERRUPTS = 3;

/** Names of parts: a vCPU's counters by slot, histograms by reason, the rest once. */
export const VCPU = 'vcpu ';
export const KVM_DURATIONS = 'kvm ';
export const QEMU_DURATIONS = 'qemu ';
export const SINGLE = 'single';
export const OTHER_IO = 'other io';
export const OTHER_INDICES = 'other indices';

/** In the course of days, a guest can access any number of addresses. */
const MAX_KEYS = 4096;

/** What was counted of one VM, in a form that can be subtracted and multiplied. */
export interface Figures {
  /** Name of the part -> numbers by index. */
  readonly parts: Map<string, Counters>;
  /** Numbers by key of a table. */
  readonly io: Map<number, number>;
  readonly ioNs: Map<number, number>;
  readonly indices: Map<number, number>;
}

/** The weight of each figure. */
export interface FigureWeights {
  ofPart(name: string, index: number): Weights;
  ofIo(key: number): Weights;
  ofIndices(): Weights;
}

export function noFigures(): Figures {
  return { parts: new Map(), io: new Map(), ioNs: new Map(), indices: new Map() };
}

/** A copy of the figures that windows show. */
export function figuresOf(totals: VmTotals): Figures {
  const parts = new Map<string, Counters>();
  for (const [vcpu, { kernel }] of totals.vcpus) parts.set(`${VCPU}${vcpu}`, kernel.slice());
  const { durations, unpairedKvm, unpairedQemu, kicks, interrupts } = totals;
  for (const [layer, histograms] of [
    [KVM_DURATIONS, durations.kvm],
    [QEMU_DURATIONS, durations.qemu],
  ] as const)
    histograms.forEach((histogram, reason) => {
      if (histogram !== undefined) parts.set(`${layer}${reason}`, plainCounts(histogram));
    });
  parts.set(SINGLE, Float64Array.of(unpairedKvm, unpairedQemu, kicks, interrupts));
  parts.set(OTHER_IO, totals.otherIo.slice());
  parts.set(OTHER_INDICES, totals.otherIndices.slice());
  return { parts, io: new Map(totals.io), ioNs: new Map(totals.ioNs), indices: new Map(totals.indices) };
}

/** What was counted between two moments. */
export function growthBetween(older: Figures, newer: Figures): Figures {
  const parts = new Map<string, Counters>();
  for (const [name, counters] of newer.parts) {
    const before = older.parts.get(name);
    parts.set(
      name,
      counters.map((count, index) => Math.max(0, count - (before?.[index] ?? 0))),
    );
  }
  return {
    parts,
    io: keyedGrowth(older.io, newer.io, parts.get(OTHER_IO)),
    ioNs: keyedGrowth(older.ioNs, newer.ioNs),
    indices: keyedGrowth(older.indices, newer.indices, parts.get(OTHER_INDICES)),
  };
}

/**
 * @param keyless what was counted without key meanwhile. It holds the counts of keys that left their table, which are
 *   not new, so they are taken out
 */
function keyedGrowth(
  older: ReadonlyMap<number, number>,
  newer: ReadonlyMap<number, number>,
  keyless?: Counters,
): Map<number, number> {
  const growth = new Map<number, number>();
  for (const [key, count] of newer) {
    const grown = count - (older.get(key) ?? 0);
    if (grown > 0) growth.set(key, grown);
  }
  if (keyless === undefined) return growth;
  for (const [key, count] of older) {
    const left = count - (newer.get(key) ?? 0);
    const kind = kindOf(key);
    if (left > 0) keyless[kind] = Math.max(0, (keyless[kind] as number) - left);
  }
  return growth;
}

export function addFigures(to: Figures, from: Figures): void {
  for (const [name, counters] of from.parts)
    to.parts.set(name, addCounters(to.parts.get(name) ?? newCounters(), counters));
  for (const table of ['io', 'ioNs', 'indices'] as const)
    for (const [key, count] of from[table]) to[table].set(key, (to[table].get(key) ?? 0) + count);
  boundKeys(to, 'io', OTHER_IO);
  boundKeys(to, 'indices', OTHER_INDICES);
}

/**
 * Keeps the busiest half of too many keys. All other keys are counted by their kind from now on.
 * @param keyless name of the part with these counts
 */
function boundKeys(figures: Figures, table: 'io' | 'indices', keyless: string): void {
  const counts = figures[table];
  if (counts.size <= MAX_KEYS) return;
  const sums = withRoomFor(figures.parts.get(keyless) ?? newCounters(), KINDS - 1);
  figures.parts.set(keyless, sums);
  const fewestLast = [...counts].sort(([, a], [, b]) => b - a);
  for (const [key, count] of fewestLast.slice(MAX_KEYS / 2)) {
    counts.delete(key);
    if (table === 'io') figures.ioNs.delete(key);
    sums[kindOf(key)] = (sums[kindOf(key)] as number) + count;
  }
}

/**
 * The estimate of a period.
 * @param seen in its window
 * @param known in all windows so far
 */
export function estimated(seen: Figures, known: Figures, weights: FigureWeights): Figures {
  const result = noFigures();
  for (const [name, counters] of known.parts) {
    const inWindow = seen.parts.get(name);
    result.parts.set(
      name,
      counters.map((count, index) => {
        const { perSeen, perKnown } = weights.ofPart(name, index);
        return (inWindow?.[index] ?? 0) * perSeen + count * perKnown;
      }),
    );
  }
  // A key of the window may be counted by its kind only in what is known.
  for (const table of ['io', 'ioNs', 'indices'] as const)
    for (const key of new Set([...known[table].keys(), ...seen[table].keys()])) {
      const { perSeen, perKnown } = table === 'indices' ? weights.ofIndices() : weights.ofIo(key);
      const sum = (seen[table].get(key) ?? 0) * perSeen + (known[table].get(key) ?? 0) * perKnown;
      if (sum > 0) result[table].set(key, sum);
    }
  return result;
}
