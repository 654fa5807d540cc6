import type { CollectorSwitches } from '../../trace/collectors.js';
import type { IndexKind } from '../../trace/sink.js';
import { addCounters, type Counters, newCounters, withRoomFor } from '../counters/counters.js';
import { KeyTable } from '../counters/key-table.js';
import { indexKey, MAX_INDICES } from '../indices/index-keys.js';
import { type CounterLayout, causeIndex } from './counter-layout.js';
import { ExitTimer } from './exit-timer.js';
import { IoAccesses } from './io-accesses.js';
import type { KnownReasons } from './known-reasons.js';

/** Collectors that are on, in addition to plain counts. Each costs a little per event. */
export interface Collectors extends CollectorSwitches {
  /** Addresses counted separately for each vCPU (default 64). */
  readonly ioCapacity?: number;
}

/** Counts of one vCPU, as far as one thread ran it. */
export class VcpuCounts {
  /**
   * Thread id; a negative number of the ledger's own after the thread has exited, because the kernel may reuse the id.
   */
  tid: number;
  /** vCPU number, -1 until an event contains it. */
  vcpu: number;
  /** True once the counts have been shown: then events that name another vCPU are counted separately. */
  isSealed = false;
  /**
   * Ring of the vCPUs that the thread has run. Nearly always the vCPU itself, but a VMM may run several on one thread.
   */
  next: VcpuCounts = this;
  /** Exits, userspace exits and causes of userspace exits; {@link layout} has the slot of each. */
  counts: Counters = newCounters();
  readonly layout: CounterLayout;
  readonly exitTimer: ExitTimer;
  readonly io: IoAccesses;
  /** MSRs, CPUID leaves, hypercalls ... by {@link indexKey}; undefined until there is one. */
  indices: KeyTable | undefined;
  readonly #collectsCauses: boolean;
  readonly #collectsIo: boolean;
  readonly #reasons: KnownReasons;
  /** Number of gaps in the trace at the latest event. */
  #gaps = 0;
  /** True after {@link forgetOpen}: then an exit to userspace may have a cause that was not seen. */
  #wasUnseen = false;

  constructor(tid: number, vcpu: number, collectors: Collectors, reasons: KnownReasons) {
    this.tid = tid;
    this.vcpu = vcpu;
    this.#collectsCauses = collectors.causes;
    this.#collectsIo = collectors.io || collectors.eventfd;
    this.#reasons = reasons;
    this.layout = reasons.layout;
    this.exitTimer = new ExitTimer(reasons.kinds, new KeyTable(collectors.ioCapacity));
    this.io = new IoAccesses(this.exitTimer);
  }

  /**
   * Call it before each event with the number of gaps so far. After a gap, an exit that was open before it stays
   * unpaired.
   */
  noteGaps(gaps: number): void {
    if (gaps === this.#gaps) return;
    this.#gaps = gaps;
    this.exitTimer.abandon();
    this.io.abandon();
  }

  /** The trace shows nothing of the vCPU for a while, so no event before is paired with one after. */
  forgetOpen(): void {
    this.exitTimer.abandon();
    this.io.abandon();
    this.#wasUnseen = true;
  }

  /** Time of the next {@link exit}, {@link userspaceExit} or {@link entry}. */
  set nowNs(ns: number) {
    this.exitTimer.nowNs = ns;
  }

  /** @param info1 low 32 bits of kvm_exit's info1 */
  exit(reason: number, info1: number): void {
    const { counts, layout } = this;
    const slot = layout.exits[reason] as number;
    if (slot > 0 && slot < counts.length) counts[slot] = (counts[slot] as number) + 1;
    else this.#countInNewSlot(layout.exitSlot(reason));
    this.exitTimer.exit(reason);
    if (this.#collectsIo) this.io.exit(this.#reasons.inPort(reason, info1));
  }

  userspaceExit(reason: number): void {
    const { counts, layout } = this;
    const slot = layout.userspaceExits[reason] as number;
    if (slot > 0 && slot < counts.length) counts[slot] = (counts[slot] as number) + 1;
    else this.#countInNewSlot(layout.userspaceExitSlot(reason));
    if (this.#collectsCauses) this.#countCause(reason);
    this.exitTimer.userspaceExit(reason);
    if (this.#collectsIo && this.#reasons.isIo(reason)) this.io.userspaceExit();
  }

  entry(): void {
    this.exitTimer.entry();
    if (this.#collectsIo) this.io.settleOpenAccess();
  }

  countIndex(kind: IndexKind, index: number): void {
    this.indices ??= new KeyTable(MAX_INDICES);
    this.indices.add(indexKey(kind, index));
  }

  /** Adds the counts of `from`. An exit that is open in `from` counts as unpaired. */
  absorb(from: VcpuCounts): void {
    this.counts = addCounters(this.counts, from.counts);
    this.exitTimer.absorb(from.exitTimer);
    this.io.absorb(from.io);
    if (from.indices !== undefined) {
      this.indices ??= new KeyTable(MAX_INDICES);
      this.indices.absorb(from.indices);
    }
  }

  #countCause(userspaceReason: number): void {
    const open = this.exitTimer.openReason;
    if (open < 0 && this.#wasUnseen && !this.exitTimer.isPlaceKnown) return;
    const reason = open < 0 ? this.#reasons.none : open;
    const { counts, layout } = this;
    const slot = layout.causes[causeIndex(userspaceReason, reason)] as number;
    if (slot > 0 && slot < counts.length) counts[slot] = (counts[slot] as number) + 1;
    else this.#countInNewSlot(layout.causeSlot(userspaceReason, reason));
  }

  /** Counts in a slot that the array may be too short for. */
  #countInNewSlot(slot: number): void {
    if (slot >= this.counts.length) this.counts = withRoomFor(this.counts, slot);
    this.counts[slot] = (this.counts[slot] as number) + 1;
  }
}
