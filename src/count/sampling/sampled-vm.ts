import { addCounters, type Counters, newCounters, sumCounters } from '../counters/counters.js';
import type { VmTotals } from '../totals/vm-totals.js';
import type { CounterLayout } from '../vcpu/counter-layout.js';
import { decodeIoKey } from '../vcpu/io-keys.js';
import { ExactTotal } from './exact-total.js';
import {
  addFigures,
  estimated,
  type Figures,
  type FigureWeights,
  figuresOf,
  growthBetween,
  noFigures,
  OTHER_IO,
  QEMU_DURATIONS,
  VCPU,
} from './figures.js';
import { type Estimate, SampledExits, type Weights } from './sampled-exits.js';
import type { Shown } from './show-figures.js';
import { WholeNumbers } from './whole-numbers.js';

/** Ids of the reasons of exits to userspace for accesses. */
export interface AccessReasons {
  readonly pio: number;
  readonly mmio: number;
}

export interface Period {
  /** The part of it that its window took. */
  readonly part: number;
  /** Its end. */
  readonly nowMs: number;
  /** Its length: so long it takes until all of its estimate is shown. */
  readonly periodMs: number;
}

/** With so many exits by KVM's count, windows must have seen half of them for the two to be the same exits. */
const MIN_COMPARED = 20;

/** The windows and estimates of one VM, period after period. KVM's own count of exits is NaN where it is not known. */
export class SampledVm {
  readonly #layout: CounterLayout;
  readonly #access: AccessReasons;
  readonly #exits = new SampledExits();
  readonly #causes = new Map<number, ExactTotal>();
  readonly #userspace = new Map<number, ExactTotal>();
  readonly #whole = new WholeNumbers();
  /** Figures when the open window began. */
  #opened: Figures | undefined;
  #kvmAtOpen = Number.NaN;
  /** In the windows of this period, and in all windows. */
  #seen = noFigures();
  readonly #known = noFigures();
  /** Exits in windows by KVM's count, and by ours. */
  #kvmInWindows = 0;
  #seenInWindows = 0;
  /** At the begin of the period: KVM's count of exits, and our counters by slot of all vCPUs. */
  #kvmAtEdge: number;
  #atEdge: Counters;
  readonly #base = noFigures();
  #pending = noFigures();
  #pendingMs = { from: 0, until: 0 };
  /** False once a period was estimated without KVM's count: then the error is not known. */
  #isTotalKnown = true;

  constructor(layout: CounterLayout, access: AccessReasons, kvmAtEdge: number, atEdge: Counters = newCounters()) {
    this.#layout = layout;
    this.#access = access;
    this.#kvmAtEdge = kvmAtEdge;
    this.#atEdge = atEdge.slice();
  }

  openWindow(totals: VmTotals, kvm: number): void {
    this.#opened = figuresOf(totals);
    this.#kvmAtOpen = kvm;
  }

  /** Returns what was counted of each vCPU in the window. */
  closeWindow(totals: VmTotals, kvm: number): readonly number[] {
    if (this.#opened === undefined) return [];
    const seen = growthBetween(this.#opened, figuresOf(totals));
    this.#opened = undefined;
    addFigures(this.#seen, seen);
    addFigures(this.#known, seen);
    const exits = sum(this.#byReason('exits', seen).values());
    if (kvm >= this.#kvmAtOpen) {
      this.#kvmInWindows += kvm - this.#kvmAtOpen;
      this.#seenInWindows += exits;
    }
    return [...seen.parts].filter(([name]) => name.startsWith(VCPU)).map(([, counters]) => sumCounters(counters));
  }

  /**
   * @param totals undefined if the VM has none
   * @param isNew true if the VM started in the period: KVM has counted its exits from its start on
   */
  endPeriod(totals: VmTotals | undefined, kvm: number, isNew: boolean, { part, nowMs, periodMs }: Period): void {
    if (isNew && Number.isNaN(this.#kvmAtEdge)) this.#kvmAtEdge = 0;
    const kernel = totals?.kernel ?? this.#atEdge;
    const userspace = this.#growthByReason('userspaceExits', kernel);
    const exits = kvm - this.#kvmAtEdge;
    [this.#kvmAtEdge, this.#atEdge] = [kvm, kernel.slice()];
    addFigures(this.#base, this.#pending);
    const { weights, total } = this.#exitWeights(exits, part);
    this.#pending = estimated(this.#seen, this.#known, this.#figureWeights(weights, userspace));
    this.#roundExits(total);
    this.#pendingMs = { from: nowMs, until: nowMs + periodMs };
    this.#seen = noFigures();
  }

  /** The part of the estimate that is shown. @param nowMs Infinity: all of it */
  shownAt(nowMs: number): Shown {
    const { from, until } = this.#pendingMs;
    const part = nowMs >= until ? 1 : Math.max(0, (nowMs - from) / (until - from));
    return { base: this.#base, pending: this.#pending, part };
  }

  /** Exits by reason, with the interval that contains their number; undefined if the error is not known. */
  estimates(): ReadonlyMap<number, Estimate> | undefined {
    return this.#isTotalKnown ? this.#exits.estimates() : undefined;
  }

  /** The weights of VM exits. `total`: their number in the estimate, if it is known. */
  #exitWeights(exits: number, part: number): { weights: Weights; total: number | undefined } {
    const byReason = this.#byReason('exits', this.#seen);
    const showsExits = this.#kvmInWindows < MIN_COMPARED || this.#seenInWindows > this.#kvmInWindows / 2;
    if (exits >= 0 && showsExits) {
      const before = this.#exits.total;
      const weights = this.#exits.addPeriod(exits, byReason, part);
      const total = Math.round(this.#exits.total - before);
      return { weights: weights ?? { perSeen: 1 / part, perKnown: 0 }, total };
    }
    if (byReason.size > 0) this.#isTotalKnown = false;
    return { weights: { perSeen: 1 / part, perKnown: 0 }, total: undefined };
  }

  #figureWeights(exits: Weights, userspace: ReadonlyMap<number, number>): FigureWeights {
    const [seenUserspace, seenCauses] = [
      this.#byReason('userspaceExits', this.#seen),
      this.#byReason('causes', this.#seen),
    ];
    const ofUserspace = exactWeights(this.#userspace, userspace, seenUserspace);
    const ofCauses = exactWeights(this.#causes, userspace, seenCauses);
    const ofIo = (key: number) => {
      const { layer, bus } = decodeIoKey(key);
      return layer === 'qemu' ? ofUserspace(this.#access[bus]) : exits;
    };
    const slots = new Map<number, Weights>();
    for (const { slot } of this.#layout.slots('exits')) slots.set(slot, exits);
    for (const { slot, userspaceReason } of this.#layout.slots('causes')) slots.set(slot, ofCauses(userspaceReason));
    return {
      ofPart: (name, index) => {
        if (name.startsWith(VCPU)) return slots.get(index) ?? NONE;
        if (name.startsWith(QEMU_DURATIONS)) return ofUserspace(Number(name.slice(QEMU_DURATIONS.length)));
        return name === OTHER_IO ? ofIo(index) : exits;
      },
      ofIo,
      ofIndices: () => exits,
    };
  }

  /** Makes the counters of exits whole numbers that add up to the total. */
  #roundExits(total: number | undefined): void {
    const cells = new Map<string, number>();
    const slots = this.#layout.slots('exits');
    for (const [name, counters] of this.#pending.parts)
      if (name.startsWith(VCPU)) for (const { slot } of slots) cells.set(`${slot} ${name}`, counters[slot] ?? 0);
    const shares = new Map([...cells].filter(([, share]) => share > 0));
    const all = total ?? Math.round(sum(shares.values()));
    for (const [cell, whole] of this.#whole.round(shares, all)) {
      const [slot = '', name = ''] = split(cell);
      const counters = this.#pending.parts.get(name);
      if (counters !== undefined) counters[Number(slot)] = whole;
    }
  }

  /** Sums over the vCPUs, by reason; of causes, by the reason of the userspace exit. */
  #byReason(kind: 'exits' | 'userspaceExits' | 'causes', { parts }: Figures): Map<number, number> {
    let all = newCounters();
    for (const [name, counters] of parts) if (name.startsWith(VCPU)) all = addCounters(all, counters);
    return this.#sums(kind, all);
  }

  #growthByReason(kind: 'userspaceExits', now: Counters): Map<number, number> {
    const grown = now.map((count, slot) => Math.max(0, count - (this.#atEdge[slot] ?? 0)));
    return this.#sums(kind, grown);
  }

  #sums(kind: 'exits' | 'userspaceExits' | 'causes', counters: Counters): Map<number, number> {
    const sums = new Map<number, number>();
    for (const { slot, reason, userspaceReason } of this.#layout.slots(kind)) {
      const count = counters[slot] ?? 0;
      const key = kind === 'causes' ? userspaceReason : reason;
      if (count > 0) sums.set(key, (sums.get(key) ?? 0) + count);
    }
    return sums;
  }
}

const NONE: Weights = { perSeen: 0, perKnown: 0 };

/** The weights of each reason whose exits are known exactly. Each total grows once per period. */
function exactWeights(
  totals: Map<number, ExactTotal>,
  exact: ReadonlyMap<number, number>,
  seen: ReadonlyMap<number, number>,
): (reason: number) => Weights {
  const weights = new Map<number, Weights>();
  for (const reason of new Set([...exact.keys(), ...seen.keys()])) {
    const total = totals.get(reason) ?? new ExactTotal();
    totals.set(reason, total);
    weights.set(reason, total.weights(exact.get(reason) ?? 0, seen.get(reason) ?? 0));
  }
  return (reason) => weights.get(reason) ?? NONE;
}

function split(cell: string): [slot: string, name: string] {
  const at = cell.indexOf(' ');
  return [cell.slice(0, at), cell.slice(at + 1)];
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
