import type { CollectorSwitches } from '../../trace/collectors.js';
import { addCounters, type Counters, newCounters, withRoomFor } from '../counters/counters.js';
import { type CounterLayout, causeIndex } from './counter-layout.js';
import { ExitTimer } from './exit-timer.js';
import { IoAccesses } from './io-accesses.js';
import type { KnownReasons } from './known-reasons.js';

/** What is collected in addition to plain counts. Each collector costs a little per event. */
export interface Collectors extends CollectorSwitches {
  /** Addresses that each vCPU keeps apart (default 64). */
  readonly ioCapacity?: number;
}

/** One vCPU as one thread runs it. */
export class VcpuCounts {
  /** Negative once the thread is gone and its number means another. */
  tid: number;
  /** -1 until an event says it. */
  vcpu: number;
  /** Ring of the vCPUs that this thread runs: nearly always just this one, but a VMM may run several on a thread. */
  next: VcpuCounts = this;
  /** guest -> KVM and KVM -> userspace by reason, and what led to the latter, by {@link layout}. */
  counts: Counters = newCounters();
  readonly layout: CounterLayout;
  readonly exitTimer: ExitTimer;
  readonly io: IoAccesses;
  readonly #collectsCauses: boolean;
  readonly #collectsIo: boolean;
  readonly #reasons: KnownReasons;
  /** Counts the gaps in the trace, see {@link noteGaps}. */
  #gaps = 0;

  constructor(tid: number, vcpu: number, collectors: Collectors, reasons: KnownReasons) {
    this.tid = tid;
    this.vcpu = vcpu;
    this.#collectsCauses = collectors.causes;
    this.#collectsIo = collectors.io || collectors.eventfd;
    this.#reasons = reasons;
    this.layout = reasons.layout;
    this.exitTimer = new ExitTimer(reasons.idle);
    this.io = new IoAccesses(collectors.ioCapacity);
  }

  /** Call before each event with the number of gaps so far: what was open before a gap is not known after it. */
  noteGaps(gaps: number): void {
    if (gaps === this.#gaps) return;
    this.#gaps = gaps;
    this.exitTimer.abandon();
    this.io.abandon();
  }

  /** The time of what follows: of {@link exit}, {@link userspaceExit}, {@link entry}. */
  set nowNs(ns: number) {
    this.exitTimer.nowNs = ns;
  }

  /** @param info1 its low 32 bits */
  exit(reason: number, info1: number): void {
    const { counts, layout } = this;
    const slot = layout.kvm[reason] as number;
    if (slot > 0 && slot < counts.length) counts[slot] = (counts[slot] as number) + 1;
    else this.#count(layout.kvmSlot(reason));
    this.exitTimer.exit(reason);
    if (this.#collectsIo) this.io.exit(this.#reasons.inPort(reason, info1));
  }

  userspaceExit(reason: number): void {
    const { counts, layout } = this;
    const slot = layout.qemu[reason] as number;
    if (slot > 0 && slot < counts.length) counts[slot] = (counts[slot] as number) + 1;
    else this.#count(layout.qemuSlot(reason));
    if (this.#collectsCauses) this.#cause(reason);
    this.exitTimer.userspaceExit(reason);
    if (this.#collectsIo && this.#reasons.isIo(reason)) this.io.userspaceExit();
  }

  entry(): void {
    this.exitTimer.entry();
    if (this.#collectsIo) this.io.settleOpenAccess();
  }

  /** Adds what `from` counted; what is open in it is left out. */
  absorb(from: VcpuCounts): void {
    this.counts = addCounters(this.counts, from.counts);
    this.exitTimer.absorb(from.exitTimer);
    this.io.absorb(from.io);
  }

  #cause(userspaceReason: number): void {
    const open = this.exitTimer.openReason;
    const reason = open < 0 ? this.#reasons.none : open;
    const { counts, layout } = this;
    const slot = layout.causes[causeIndex(userspaceReason, reason)] as number;
    if (slot > 0 && slot < counts.length) counts[slot] = (counts[slot] as number) + 1;
    else this.#count(layout.causeSlot(userspaceReason, reason));
  }

  /** Where it is the first of its kind. */
  #count(slot: number): void {
    if (slot >= this.counts.length) this.counts = withRoomFor(this.counts, slot);
    this.counts[slot] = (this.counts[slot] as number) + 1;
  }
}
