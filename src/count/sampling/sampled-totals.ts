import { sumCounters } from '../counters/counters.js';
import type { StatisticTotals } from '../statistics/statistic-counts.js';
import { VmTotals } from '../totals/vm-totals.js';
import { REASON_STATISTICS } from './exact-reasons.js';
import { addFigures } from './figures.js';
import { FocusedVm } from './focused-vm.js';
import type { Estimate } from './sampled-exits.js';
import { type KvmCounts, type SampledReasons, SampledVm } from './sampled-vm.js';
import { type Shown, showFigures } from './show-figures.js';

/** The quality of sampled figures. */
export interface SamplingState {
  /** Part of the latest period in which all events were counted; 0 before the end of the first. */
  readonly fraction: number;
  /**
   * Label of the VM -> estimated exits by reason, with the interval that contains the true number; without VMs whose
   * exits KVM does not tell, because the error is not known then.
   */
  readonly estimates: ReadonlyMap<string, ReadonlyMap<number, Estimate>>;
  /** Labels of the VMs of which all events are counted at present. */
  readonly focused: ReadonlySet<string>;
}

/** Label of the VM -> what was counted. */
type Totals = ReadonlyMap<string, VmTotals>;

/**
 * Estimates what each VM did from what windows saw of it, one window in each period:
 *
 *   period    |------[window]-----------|-----------[window]------|
 *   estimate                            of the first period, shown bit by bit until the end of the next one
 *
 * Estimates are shown evenly over the following period, so that rates do not jump at its end, and no counter decreases.
 * What is always on (exits to userspace) is shown as it is counted, and so is everything of a VM in focus: its
 * estimates end when the focus begins.
 */
export class SampledTotals {
  readonly #reasons: SampledReasons;
  readonly #statistics: StatisticTotals;
  readonly #vms = new Map<string, SampledVm>();
  /** The VMs that are or were in focus. */
  readonly #focused = new Map<string, FocusedVm>();
  /** Everything that was counted of VMs in focus before the open window. */
  #focusedAtOpen = 0;
  #openedMs = Number.NaN;
  #edgeMs = Number.NaN;
  #windowMs = 0;
  #fraction = 0;

  constructor(reasons: SampledReasons, statistics: StatisticTotals) {
    this.#reasons = reasons;
    this.#statistics = statistics;
  }

  /** Begins the first period. */
  begin(totals: Totals, nowMs: number): void {
    this.#edgeMs = nowMs;
    for (const label of new Set([...totals.keys(), ...this.#statistics.vms.keys()]))
      this.#vms.set(label, new SampledVm(this.#reasons, this.#kvmCounts(label), totals.get(label)?.kernel));
  }

  /** All events are counted from now on. */
  openWindow(totals: Totals, nowMs: number): void {
    this.#openedMs = nowMs;
    this.#focusedAtOpen = this.#countsInFocus(totals);
    for (const [label, own] of totals)
      if (!this.isFocused(label)) this.#vmOf(label).openWindow(own, this.#kvmCounts(label));
    // Of a VM without counts yet, everything is new.
    for (const [label, vm] of this.#vms)
      if (!totals.has(label) && !this.isFocused(label)) vm.openWindow(new VmTotals(), this.#kvmCounts(label));
  }

  /**
   * From now on, events may be missing. Returns the part that the busiest vCPU had of all that was counted, without
   * those in focus. All, if nothing shows which vCPU the events are of: on some hosts the only one is an access.
   */
  closeWindow(totals: Totals, nowMs: number): number {
    this.#windowMs += nowMs - this.#openedMs;
    let [most, all] = [0, this.#countsInFocus(totals) - this.#focusedAtOpen];
    for (const [label, own] of totals) {
      if (this.isFocused(label)) continue;
      const isNew = !this.#vms.has(label);
      const vm = this.#vmOf(label);
      if (isNew) vm.openWindow(new VmTotals(), []);
      for (const counted of vm.closeWindow(own, this.#kvmCounts(label))) {
        most = Math.max(most, counted);
        all += counted;
      }
    }
    return all > 0 ? most / all : 1;
  }

  /**
   * Estimates the period that ends now, and begins the next one. A period without a window goes on.
   * @param isNew true for a VM that started in the period: KVM has counted its exits from its start on. `isFirst`: none
   *   of the VM was known before this period, so it may have started earlier, after {@link begin}
   */
  endPeriod(totals: Totals, nowMs: number, isNew: (label: string, isFirst: boolean) => boolean): void {
    if (this.#windowMs === 0) return;
    const periodMs = nowMs - this.#edgeMs;
    const part = Math.min(1, this.#windowMs / periodMs);
    for (const label of new Set([...totals.keys(), ...this.#statistics.vms.keys()])) {
      if (this.isFocused(label)) {
        this.#focused.get(label)?.endPeriod(totals.get(label) ?? new VmTotals(), part);
        continue;
      }
      const period = { part, nowMs, periodMs };
      const vm = this.#vmOf(label);
      vm.endPeriod(totals.get(label), this.#kvmCounts(label), isNew(label, vm.isFirst), period);
    }
    [this.#edgeMs, this.#windowMs, this.#fraction] = [nowMs, 0, part];
  }

  /**
   * All events of a VM are counted from now on. If they were already, more of its threads have become known: what these
   * did before is what KVM has counted besides.
   * @param isNew true if it started in the period
   */
  focus(label: string, totals: Totals, nowMs: number, isNew: boolean): void {
    const own = totals.get(label) ?? new VmTotals();
    const focused = this.#focused.get(label) ?? new FocusedVm(this.#reasons.layout);
    this.#focused.set(label, focused);
    const vm = this.#vmOf(label);
    const [exits = Number.NaN, ...ofReasons] = this.#kvmCounts(label);
    if (focused.isFocused) vm.goOn(own, [focused.end(own), ...ofReasons]);
    const periodMs = Math.max(1, nowMs - this.#edgeMs);
    const part = this.#windowMs > 0 ? Math.min(1, this.#windowMs / periodMs) : 1;
    vm.endPeriod(own, [exits, ...ofReasons], isNew, { part, nowMs, periodMs });
    vm.suspend();
    // KVM counts the exits of a new VM from 0 on, also while nothing has read them.
    focused.begin(own, isNew && Number.isNaN(exits) ? 0 : exits);
  }

  /** Only windows count all events of a VM from now on. Call it outside windows. */
  unfocus(label: string, totals: Totals): void {
    const own = totals.get(label) ?? new VmTotals();
    const focused = this.#focused.get(label);
    if (focused?.isFocused !== true) return;
    focused.end(own);
    this.#vmOf(label).goOn(own, this.#kvmCounts(label));
  }

  isFocused(label: string): boolean {
    return this.#focused.get(label)?.isFocused === true;
  }

  /** Replaces what windows saw by the estimates. @param nowMs Infinity: all that is estimated */
  show(totals: Map<string, VmTotals>, nowMs: number): void {
    const exact = new Set(this.#reasons.layout.slots('userspaceExits').map(({ slot }) => slot));
    const isExact = (slot: number) => exact.has(slot);
    for (const [label, own] of totals) showFigures(own, this.#shownAt(label, own, nowMs), isExact);
  }

  get state(): SamplingState {
    const estimates = new Map<string, ReadonlyMap<number, Estimate>>();
    for (const [label, vm] of this.#vms) {
      const own = vm.estimates();
      if (own !== undefined && label !== '') estimates.set(label, this.#withCounted(label, own, vm.unknownExits));
    }
    const focused = new Set([...this.#focused.keys()].filter((label) => this.isFocused(label)));
    return { fraction: this.#fraction, estimates, focused };
  }

  forget(label: string): void {
    this.#vms.delete(label);
    this.#focused.delete(label);
  }

  #shownAt(label: string, own: VmTotals, nowMs: number): Shown {
    const shown = this.#vmOf(label).shownAt(nowMs);
    const focused = this.#focused.get(label);
    if (focused === undefined) return shown;
    const base = focused.figures(own);
    addFigures(base, shown.base);
    return { ...shown, base };
  }

  /** Estimates together with what was counted in focus until the last end of a period. */
  #withCounted(label: string, own: ReadonlyMap<number, Estimate>, unknown: number): ReadonlyMap<number, Estimate> {
    const counted = this.#focused.get(label)?.exits();
    if (counted === undefined) return own;
    const all = new Map(own);
    for (const [reason, exits] of counted) {
      const { count, low, high } = all.get(reason) ?? { count: 0, low: 0, high: unknown };
      all.set(reason, { count: count + exits, low: low + exits, high: high + exits });
    }
    return all;
  }

  /** Everything that was counted so far of the vCPUs in focus. */
  #countsInFocus(totals: Totals): number {
    let sum = 0;
    for (const [label, { kernel }] of totals) if (this.isFocused(label)) sum += sumCounters(kernel);
    return sum;
  }

  #vmOf(label: string): SampledVm {
    const known = this.#vms.get(label);
    if (known !== undefined) return known;
    const vm = new SampledVm(this.#reasons, []);
    this.#vms.set(label, vm);
    return vm;
  }

  #kvmCounts(label: string): KvmCounts {
    const vm = this.#statistics.vms.get(label);
    return STATISTICS.map((statistic) => {
      const found = vm?.layout.slots().find(({ statistic: { name, kind } }) => name === statistic && kind === 'total');
      if (vm === undefined || found === undefined) return Number.NaN;
      const values = [...vm.vcpus.values()].flatMap((ofVcpu) => {
        const value = ofVcpu[found.slot] ?? Number.NaN;
        return Number.isNaN(value) ? [] : [value];
      });
      return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0);
    });
  }
}

/** In the order of {@link KvmCounts}. */
const STATISTICS = ['exits', ...REASON_STATISTICS.map(([statistic]) => statistic)];
