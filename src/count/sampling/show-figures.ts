import { addCounters, type Counters, newCounters } from '../counters/counters.js';
import { histogramOf } from '../counters/duration-histogram.js';
import type { VmTotals } from '../totals/vm-totals.js';
import { ExitDurations } from '../vcpu/exit-durations.js';
import {
  type Figures,
  INTERRUPTS,
  KICKS,
  KVM_DURATIONS,
  OTHER_INDICES,
  OTHER_IO,
  QEMU_DURATIONS,
  SINGLE,
  UNPAIRED_KVM,
  UNPAIRED_QEMU,
  VCPU,
} from './figures.js';

/** An estimate that is partly shown: all of `base`, and this part of `pending`. */
export interface Shown {
  readonly base: Figures;
  readonly pending: Figures;
  readonly part: number;
}

/** Less than this is lost when a sum of parts is rounded down that should be a whole number. */
const ROUNDING = 1e-6;

/**
 * Replaces what windows saw by the estimate, rounded down. Counts never decrease, as neither `base` nor `part` does
 * before `pending` has become part of the base.
 * @param isExact true for slots whose counters are always on: they stay as they are
 */
export function showFigures(totals: VmTotals, shown: Shown, isExact: (slot: number) => boolean): void {
  const partOf = (name: string) => sumOf(shown, name);
  const names = [...shown.base.parts.keys(), ...shown.pending.parts.keys()];
  for (const name of names) if (name.startsWith(VCPU) && hasAny(partOf(name))) totals.vcpu(name.slice(VCPU.length));
  for (const [vcpu, own] of totals.vcpus) own.kernel = shownCounters(own.kernel, partOf(`${VCPU}${vcpu}`), isExact);
  totals.kernel = [...totals.vcpus.values()].reduce((sum, { kernel }) => addCounters(sum, kernel), newCounters());
  const { durations } = totals;
  const estimated = new ExitDurations();
  for (const [layer, prefix] of [
    ['kvm', KVM_DURATIONS],
    ['qemu', QEMU_DURATIONS],
  ] as const)
    durations[layer].forEach((histogram, reason) => {
      const counts = partOf(`${prefix}${reason}`);
      const shownHistogram = counts.length > 0 ? histogramOf(counts, histogram) : undefined;
      if (shownHistogram !== undefined && shownHistogram[0] !== 0) estimated[layer][reason] = shownHistogram;
    });
  totals.showDurations(estimated);
  const single = partOf(SINGLE).map(rounded);
  totals.unpairedKvm = single[UNPAIRED_KVM] ?? 0;
  totals.unpairedQemu = single[UNPAIRED_QEMU] ?? 0;
  totals.kicks = single[KICKS] ?? 0;
  totals.interrupts = single[INTERRUPTS] ?? 0;
  replace(totals.otherIo, partOf(OTHER_IO));
  replace(totals.otherIndices, partOf(OTHER_INDICES));
  for (const table of ['io', 'ioNs', 'indices'] as const) {
    totals[table].clear();
    for (const [key, count] of shown.base[table]) totals[table].set(key, count);
    for (const [key, count] of shown.pending[table])
      totals[table].set(key, (totals[table].get(key) ?? 0) + count * shown.part);
    for (const [key, count] of totals[table])
      if (rounded(count) > 0) totals[table].set(key, rounded(count));
      else totals[table].delete(key);
  }
}

function sumOf({ base, pending, part }: Shown, name: string): Counters {
  const [shown, more] = [base.parts.get(name) ?? new Float64Array(0), pending.parts.get(name)];
  if (more === undefined) return shown.slice();
  return addCounters(
    shown.slice(),
    more.map((count) => count * part),
  );
}

function shownCounters(seen: Counters, estimate: Counters, isExact: (slot: number) => boolean): Counters {
  const counters = new Float64Array(Math.max(seen.length, estimate.length));
  return counters.map((_, slot) => (isExact(slot) ? (seen[slot] ?? 0) : rounded(estimate[slot] ?? 0)));
}

function hasAny(counters: Counters): boolean {
  return counters.some((count) => rounded(count) > 0);
}

function replace(target: Counters, counts: Counters): void {
  target.forEach((_, index) => {
    target[index] = rounded(counts[index] ?? 0);
  });
}

function rounded(count: number): number {
  return Math.floor(count + ROUNDING);
}
