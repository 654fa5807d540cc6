/**
 * What each VM did in the last 15 minutes, in steps of five seconds, in typed arrays of a fixed size.
 */
import type { Observation } from '../rates/observation.js';
import type { StatisticRates } from '../rates/statistic-rates.js';
import { MemoryBudget } from './memory-budget.js';
import { STEPS, Steps } from './steps.js';
import { FIXED_BYTES, VmHistory } from './vm-history.js';
import { vmStep } from './vm-step.js';

/** Bytes of all series together: a thousand VMs with as many series as a VM can have. */
const MAX_HISTORY_BYTES = 32 << 20;
const VMS_PER_SLICE = 20;

interface Entry {
  readonly history: VmHistory;
  /** Steps since the VM was seen. */
  absent: number;
}

export class History {
  readonly steps = new Steps();
  readonly #budget: MemoryBudget;
  readonly #vms = new Map<string, Entry>();
  #previous: Observation | undefined;

  constructor(maxBytes = MAX_HISTORY_BYTES) {
    this.#budget = new MemoryBudget(maxBytes);
  }

  /** Bytes of all series. */
  get bytes(): number {
    return this.#budget.usedBytes;
  }

  /** The VMs that have a history, by name. Beyond {@link MAX_HISTORY_BYTES} a VM has none. */
  get vms(): ReadonlyMap<string, { readonly history: VmHistory }> {
    return this.#vms;
  }

  /**
   * Writes a step: what happened since the previous one. It yields now and then, so that a caller can do other work.
   * @param statistics KVM's own, for hosts whose kernel shows no exits
   */
  *observe(observation: Observation, statistics: Pick<StatisticRates, 'of'>): Generator<undefined, void, undefined> {
    const previous = this.#previous;
    this.#previous = observation;
    const seconds = previous === undefined ? 0 : (observation.atMs - previous.atMs) / 1000;
    if (previous === undefined || seconds <= 0) return;
    const position = this.steps.next;
    // No source shows anything while none is open: counters that stand still are no rates of 0 then.
    const isKnown =
      !observation.countsExits || observation.sources.some(({ source, up }) => up && source !== 'kubernetes');
    for (const [vm, entry] of this.#vms) {
      entry.absent = observation.vms.has(vm) ? 0 : entry.absent + 1;
      if (entry.absent >= STEPS) this.#forget(vm, entry);
    }
    for (const vm of observation.vms.keys())
      if (!this.#vms.has(vm) && this.#makeRoom())
        this.#vms.set(vm, { history: new VmHistory(this.#budget), absent: 0 });
    let written = 0;
    for (const [vm, { history }] of this.#vms) {
      const counts = isKnown ? observation.vms.get(vm) : undefined;
      const step = counts && vmStep(counts, previous.vms.get(vm), observation, seconds);
      history.write(position, step && { ...step, kvm: step.kvm || statistics.of(vm).exits || step.kvm });
      if (++written % VMS_PER_SLICE === 0) yield;
    }
    this.steps.add(observation.atMs);
  }

  /** Takes what a VM needs from the budget, and forgets VMs that are gone for that. Returns false if it is full. */
  #makeRoom(): boolean {
    while (!this.#budget.take(FIXED_BYTES)) {
      let [longestGone, longest]: [string | undefined, Entry | undefined] = [undefined, undefined];
      for (const [vm, entry] of this.#vms)
        if (entry.absent > (longest?.absent ?? 0)) [longestGone, longest] = [vm, entry];
      if (longestGone === undefined || longest === undefined) return false;
      this.#forget(longestGone, longest);
    }
    return true;
  }

  #forget(vm: string, { history }: Entry): void {
    this.#vms.delete(vm);
    this.#budget.release(history.bytes);
  }
}
