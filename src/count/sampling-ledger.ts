import type { KernelThreads } from './kernel-threads.js';
import type { SampledTotals, SamplingState } from './sampling/sampled-totals.js';
import { finish } from './stepwise.js';
import { totalsIn, type VmTotals } from './totals/vm-totals.js';

export interface SamplingLedgerOptions {
  /** Undefined if all events are always on. */
  readonly sampled: SampledTotals | undefined;
  readonly threads: KernelThreads;
  /** As {@link Ledger.resolveOwners}. */
  readonly resolveOwners: (nowMs: number) => void;
}

/** The part of the ledger that estimates figures from windows. Times are on the agent's clock. */
export class SamplingLedger {
  readonly #sampled: SampledTotals | undefined;
  readonly #threads: KernelThreads;
  readonly #resolveOwners: (nowMs: number) => void;

  constructor({ sampled, threads, resolveOwners }: SamplingLedgerOptions) {
    this.#sampled = sampled;
    this.#threads = threads;
    this.#resolveOwners = resolveOwners;
  }

  /** Undefined if all events are always on. */
  get state(): SamplingState | undefined {
    return this.#sampled?.state;
  }

  /** Begins the first period. */
  begin(nowMs: number): void {
    this.#sampled?.begin(this.#seen(nowMs), nowMs);
  }

  /** All events are counted from now on, until {@link closeWindow}. */
  openWindow(nowMs: number): void {
    this.#resolveOwners(nowMs);
    this.#threads.forgetOpen(this.#isFocused);
    this.#sampled?.openWindow(this.#seen(nowMs), nowMs);
  }

  /** Returns the part that the busiest vCPU had of all that was counted in the window, without VMs in focus. */
  closeWindow(nowMs: number): number {
    const busiest = this.#sampled?.closeWindow(this.#seen(nowMs), nowMs) ?? 0;
    this.#threads.forgetOpen(this.#isFocused);
    return busiest;
  }

  /**
   * Estimates the period that ends now, and begins the next one.
   * @param isNew true for a VM that started in the period
   */
  endPeriod(nowMs: number, isNew: (label: string, isFirst: boolean) => boolean): void {
    this.#sampled?.endPeriod(this.#seen(nowMs), nowMs, isNew);
  }

  /**
   * All events of a VM are counted from now on.
   * @param isNew true if it started in the period
   */
  focus(label: string, nowMs: number, isNew: boolean): void {
    this.#sampled?.focus(label, this.#seen(nowMs), nowMs, isNew);
  }

  /** Only windows count all events of a VM from now on. Call it outside windows. */
  unfocus(label: string, nowMs: number): void {
    this.#sampled?.unfocus(label, this.#seen(nowMs));
  }

  /** Thread of a VM -> exits to KVM that its traces have shown. */
  exitsByThread(label: string): Map<number, number> {
    return this.#threads.exitsByThread(label);
  }

  /** Replaces what windows saw by the estimates. */
  show(totals: Map<string, VmTotals>, nowMs: number): void {
    this.#sampled?.show(totals, nowMs);
  }

  forget(label: string): void {
    this.#sampled?.forget(label);
  }

  readonly #isFocused = (label: string): boolean => this.#sampled?.isFocused(label) === true;

  /** What the traces have shown of each VM. */
  #seen(nowMs: number): Map<string, VmTotals> {
    this.#resolveOwners(nowMs);
    const vms = new Map<string, VmTotals>();
    finish(this.#threads.addTo(totalsIn(vms)));
    return vms;
  }
}
