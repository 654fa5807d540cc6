import { type Names, OTHER_ID } from '../../trace/names.js';
import { type Counters, newCounters, sumCounters, withRoomFor } from '../counters/counters.js';
import type { VmTotals } from '../totals/vm-totals.js';
import type { CounterLayout } from '../vcpu/counter-layout.js';
import { decodeIoKey } from '../vcpu/io-keys.js';
import { ExactReasons } from './exact-reasons.js';
import { ExactTotal } from './exact-total.js';
import {
  addFigures,
  estimated,
  type Figures,
  type FigureWeights,
  figuresOf,
  growthBetween,
  INTERRUPTS,
  KVM_DURATIONS,
  noFigures,
  OTHER_IO,
  QEMU_DURATIONS,
  SINGLE,
  VCPU,
} from './figures.js';
import { ReasonSums } from './reason-sums.js';
import { RoundedExits } from './rounded-exits.js';
import { type Estimate, SampledExits, type Weights } from './sampled-exits.js';
import type { Shown } from './show-figures.js';

/** What all VMs have in common. */
export interface SampledReasons {
  readonly layout: CounterLayout;
  readonly names: Names;
}

/** KVM's own count of a VM's exits, then of those for each of {@link REASON_STATISTICS}; NaN if it is not known. */
export type KvmCounts = readonly number[];

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

/** The windows and estimates of one VM, period after period. */
export class SampledVm {
  readonly #layout: CounterLayout;
  /** Reasons of exits to userspace for accesses. */
  readonly #access: { readonly pio: number; readonly mmio: number };
  /** Reasons of exits for ports. */
  readonly #ioReasons: readonly number[];
  readonly #sums: ReasonSums;
  /** Exits whose reasons are estimated. */
  readonly #exits = new SampledExits();
  /** Reasons whose exits KVM counts. */
  readonly #exact: ExactReasons;
  /** Reason -> its exits in periods for which KVM has counted them. */
  readonly #exactExits = new Map<number, number>();
  /** Exits for reasons that KVM does not count, of periods before the first window that saw such a reason. */
  #unknownExits = 0;
  /** KVM's count of exits in the periods for which it was known. */
  #kvmExits = 0;
  readonly #causes = new Map<number, ExactTotal>();
  readonly #userspace = new Map<number, ExactTotal>();
  readonly #rounded: RoundedExits;
  /** Figures when the open window began. */
  #opened: Figures | undefined;
  #kvmAtOpen: KvmCounts = [];
  /** In the windows of this period, and in all windows. */
  #seen = noFigures();
  readonly #known = noFigures();
  /** Exits in windows by KVM's count, and by ours. */
  #kvmInWindows = 0;
  #seenInWindows = 0;
  /** At the begin of the period: KVM's count of exits, and our counters by slot of all vCPUs. */
  #kvmAtEdge: KvmCounts;
  #atEdge: Counters;
  readonly #base = noFigures();
  #pending = noFigures();
  #pendingMs = { from: 0, until: 0 };
  #isFirst = true;
  /** False once a period was estimated without KVM's count: then the error is not known. */
  #isTotalKnown = true;

  constructor({ layout, names }: SampledReasons, kvmAtEdge: KvmCounts, atEdge: Counters = newCounters()) {
    this.#layout = layout;
    this.#sums = new ReasonSums(layout);
    this.#rounded = new RoundedExits(layout);
    this.#access = { pio: names.id('KVM_EXIT_IO'), mmio: names.id('KVM_EXIT_MMIO') };
    this.#ioReasons = ['io', 'IO_INSTRUCTION'].map((reason) => names.id(reason));
    this.#exact = new ExactReasons(names);
    this.#kvmAtEdge = kvmAtEdge;
    this.#atEdge = atEdge.slice();
  }

  /** True until the end of its first period. */
  get isFirst(): boolean {
    return this.#isFirst;
  }

  openWindow(totals: VmTotals, kvm: KvmCounts): void {
    this.#opened = figuresOf(totals);
    this.#kvmAtOpen = kvm;
  }

  /** Returns what was counted of each vCPU in the window. */
  closeWindow(totals: VmTotals, kvm: KvmCounts): readonly number[] {
    if (this.#opened === undefined) return [];
    const seen = growthBetween(this.#opened, figuresOf(totals));
    this.#opened = undefined;
    addFigures(this.#seen, seen);
    addFigures(this.#known, seen);
    const exits = this.#sums.of('exits', seen);
    const [inWindow = Number.NaN, ...ofReasons] = difference(kvm, this.#kvmAtOpen);
    if (inWindow >= 0) {
      this.#kvmInWindows += inWindow;
      this.#seenInWindows += sum(exits.values());
    }
    this.#exact.closeWindow(ofReasons, exits);
    return [...seen.parts].filter(([name]) => name.startsWith(VCPU)).map(([, counters]) => sumCounters(counters));
  }

  /**
   * @param totals undefined if the VM has none
   * @param isNew true if the VM started in the period: KVM has counted its exits from its start on
   */
  endPeriod(totals: VmTotals | undefined, kvm: KvmCounts, isNew: boolean, { part, nowMs, periodMs }: Period): void {
    this.#isFirst = false;
    if (isNew) this.#kvmAtEdge = kvm.map((_, index) => this.#kvmAtEdge[index] || 0);
    const kernel = totals?.kernel ?? this.#atEdge;
    const userspace = this.#sums.grown('userspaceExits', this.#atEdge, kernel);
    const growth = difference(kvm, this.#kvmAtEdge);
    [this.#kvmAtEdge, this.#atEdge] = [kvm, kernel.slice()];
    addFigures(this.#base, this.#pending);
    const exits = this.#estimateExits(growth, part);
    this.#pending = estimated(this.#seen, this.#known, this.#figureWeights(exits, userspace));
    this.#rounded.round(this.#pending, exits.exact, exits.total);
    this.#addUnknown(exits.unknown);
    this.#pendingMs = { from: nowMs, until: nowMs + periodMs };
    this.#seen = noFigures();
  }

  /** From now on, all events of the VM are counted. Exits for reasons that no window has shown are shown without. */
  suspend(): void {
    this.#opened = undefined;
    this.#addUnknown(this.#exits.takeWaiting());
  }

  /** From now on, only windows count all events again. */
  goOn({ kernel }: VmTotals, kvm: KvmCounts): void {
    [this.#kvmAtEdge, this.#atEdge, this.#seen] = [kvm, kernel.slice(), noFigures()];
  }

  /** Exits for reasons that are not known. */
  get unknownExits(): number {
    return this.#unknownExits;
  }

  /** The part of the estimate that is shown. @param nowMs Infinity: all of it */
  shownAt(nowMs: number): Shown {
    const { from, until } = this.#pendingMs;
    const part = nowMs >= until ? 1 : Math.max(0, (nowMs - from) / (until - from));
    return { base: this.#base, pending: this.#pending, part };
  }

  /** Exits by reason, with the interval that contains their number; undefined if the error is not known. */
  estimates(): ReadonlyMap<number, Estimate> | undefined {
    if (!this.#isTotalKnown) return undefined;
    const estimates = this.#exits.estimates();
    for (const [reason, estimate] of estimates)
      estimates.set(reason, { ...estimate, high: estimate.high + this.#unknownExits });
    const totals = this.#exact.totals(this.#sums.of('exits', this.#known));
    for (const [reason, exits] of this.#exactExits) {
      const { count, low, high } = estimates.get(reason) ?? { count: 0, low: 0, high: 0 };
      const total = totals.get(reason);
      estimates.set(reason, { count: count + exits, low: total ?? low + exits, high: total ?? high + exits });
    }
    return estimates;
  }

  #estimateExits([exits = Number.NaN, ...ofReasons]: KvmCounts, part: number): EstimatedExits {
    const byTime = { perSeen: 1 / part, perKnown: 0 };
    const seen = this.#sums.of('exits', this.#seen);
    const showsExits = this.#kvmInWindows < MIN_COMPARED || this.#seenInWindows > this.#kvmInWindows / 2;
    if (!(exits >= 0 && showsExits)) {
      if (seen.size > 0) this.#isTotalKnown = false;
      return { weights: byTime, byTime, total: undefined, exact: new Map(), unknown: 0 };
    }
    const exact = new Map<number, Weights>();
    const known = this.#sums.of('exits', this.#known);
    const estimateOf = (reason: number) => this.#exits.countOf(reason) + (this.#exactExits.get(reason) ?? 0);
    for (const each of this.#exact.addPeriod(ofReasons, seen, known, estimateOf)) {
      exact.set(each.reason, each.weights);
      this.#exactExits.set(each.reason, (this.#exactExits.get(each.reason) ?? 0) + each.exits);
      seen.delete(each.reason);
    }
    this.#kvmExits += exits;
    // KVM's statistics are read one after the other, so those of reasons can be a few exits ahead.
    const estimatedAll = this.#exits.all + sum(this.#exactExits.values()) + this.#unknownExits;
    const rest = Math.max(0, Math.round(this.#kvmExits - estimatedAll));
    if (exact.size > 0 && seen.size === 0 && this.#exits.seenBesides(exact) === 0)
      return { weights: byTime, byTime, total: 0, exact, unknown: rest };
    const before = this.#exits.total;
    const weights = this.#exits.addPeriod(rest, seen, part, exact);
    const total = Math.round(this.#exits.total - before);
    return { weights: weights ?? byTime, byTime, total, exact, unknown: 0 };
  }

  #figureWeights({ weights, byTime, exact }: EstimatedExits, userspace: ReadonlyMap<number, number>): FigureWeights {
    const ofExits = (reason: number) => exact.get(reason) ?? weights;
    const [seenUserspace, seenCauses] = [
      this.#sums.of('userspaceExits', this.#seen),
      this.#sums.of('causes', this.#seen),
    ];
    const ofUserspace = exactWeights(this.#userspace, userspace, seenUserspace);
    const ofCauses = exactWeights(this.#causes, userspace, seenCauses);
    const ofIo = (key: number) => {
      const { layer, bus } = decodeIoKey(key);
      if (layer === 'qemu') return ofUserspace(this.#access[bus]);
      const reason = bus === 'pio' ? this.#ioReasons.find((each) => exact.has(each)) : undefined;
      return (reason === undefined ? undefined : exact.get(reason)) ?? weights;
    };
    const slots = new Map<number, Weights>();
    for (const { slot, reason } of this.#layout.slots('exits')) slots.set(slot, ofExits(reason));
    for (const { slot, userspaceReason } of this.#layout.slots('causes')) slots.set(slot, ofCauses(userspaceReason));
    return {
      ofPart: (name, index) => {
        if (name.startsWith(VCPU)) return slots.get(index) ?? NONE;
        if (name.startsWith(QEMU_DURATIONS)) return ofUserspace(Number(name.slice(QEMU_DURATIONS.length)));
        if (name.startsWith(KVM_DURATIONS)) return ofExits(Number(name.slice(KVM_DURATIONS.length)));
        // Other threads inject interrupts, whatever the vCPUs do.
        if (name === SINGLE && index === INTERRUPTS) return byTime;
        return name === OTHER_IO ? ofIo(index) : weights;
      },
      ofIo,
      ofIndices: () => weights,
    };
  }

  /** Adds exits of which neither the vCPU nor the reason is known. */
  #addUnknown(exits: number): void {
    if (exits === 0) return;
    this.#unknownExits += exits;
    const slot = this.#layout.exitSlot(OTHER_ID);
    const counters = withRoomFor(this.#pending.parts.get(VCPU) ?? newCounters(), slot);
    counters[slot] = (counters[slot] as number) + exits;
    this.#pending.parts.set(VCPU, counters);
  }
}

/** The estimate of a period's exits. */
interface EstimatedExits {
  /** Those of reasons that KVM does not count. */
  readonly weights: Weights;
  /** Those of what has nothing to do with exits. */
  readonly byTime: Weights;
  /** Number of exits for these reasons; undefined if it is not known. */
  readonly total: number | undefined;
  /** Weights of the reasons that KVM counts. */
  readonly exact: ReadonlyMap<number, Weights>;
  /** Exits for reasons that are not known. */
  readonly unknown: number;
}

function difference(newer: KvmCounts, older: KvmCounts): number[] {
  return newer.map((count, index) => count - (older[index] ?? Number.NaN));
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

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
