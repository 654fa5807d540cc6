import { type Cells, newCells, plus, withRoom } from '../counters/counters.js';
import { causeIndex, type Slots } from './counter-layout.js';
import { Trip } from './exit-timer.js';
import { IoAccesses } from './io-accesses.js';
import type { KnownReasons } from './known-reasons.js';

/** What is collected beyond plain counts; each costs a little per event. */
export interface Collectors {
  /** How long exits take, and the time away from the guest. */
  readonly duration: boolean;
  /** Which hardware exit led to which userspace exit. */
  readonly causes: boolean;
  /** Ports and MMIO pages. */
  readonly io: boolean;
  /** Addresses that are kept apart of each vCPU (default 64). */
  readonly ioSlots?: number;
  /** ioeventfd kicks and interrupts from outside. */
  readonly eventfd: boolean;
}

/** One vCPU as one thread runs it. */
export class VcpuCounts {
  /** Negative once the thread is gone and its number means another. */
  tid: number;
  /** -1 until an event says it. */
  vcpu: number;
  /** Ring of the vCPUs that this thread runs: nearly always just this one, but a VMM may run several on a thread. */
  next: VcpuCounts = this;
  /** guest -> KVM and KVM -> userspace by reason, and what led to the latter, by {@link slots}. */
  counts: Cells = newCells();
  readonly slots: Slots;
  readonly trip: Trip;
  readonly io: IoAccesses;
  readonly #tellsCauses: boolean;
  readonly #tellsIo: boolean;
  readonly #reasons: KnownReasons;
  /** Counts the gaps in the trace, see {@link catchUp}. */
  #gaps = 0;

  constructor(tid: number, vcpu: number, collectors: Collectors, reasons: KnownReasons) {
    this.tid = tid;
    this.vcpu = vcpu;
    this.#tellsCauses = collectors.causes;
    this.#tellsIo = collectors.io || collectors.eventfd;
    this.#reasons = reasons;
    this.slots = reasons.slots;
    this.trip = new Trip(reasons.idle);
    this.io = new IoAccesses(collectors.ioSlots);
  }

  /** Call before each event with the number of gaps so far: what was open before a gap is not known after it. */
  catchUp(gaps: number): void {
    if (gaps === this.#gaps) return;
    this.#gaps = gaps;
    this.trip.drop();
    this.io.drop();
  }

  /** The time of what follows: of {@link exit}, {@link userspaceExit}, {@link entry}. */
  set nowNs(ns: number) {
    this.trip.nowNs = ns;
  }

  /** @param info1 its low 32 bits */
  exit(reason: number, info1: number): void {
    const { counts, slots } = this;
    const slot = slots.kvm[reason] as number;
    if (slot > 0 && slot < counts.length) counts[slot] = (counts[slot] as number) + 1;
    else this.#count(slots.kvmSlot(reason));
    this.trip.exit(reason);
    if (this.#tellsIo) this.io.boundary(this.#reasons.inPort(reason, info1));
  }

  userspaceExit(reason: number): void {
    const { counts, slots } = this;
    const slot = slots.qemu[reason] as number;
    if (slot > 0 && slot < counts.length) counts[slot] = (counts[slot] as number) + 1;
    else this.#count(slots.qemuSlot(reason));
    if (this.#tellsCauses) this.#cause(reason);
    this.trip.userspaceExit(reason);
    if (this.#tellsIo && this.#reasons.isIo(reason)) this.io.userspaceExit();
  }

  entry(): void {
    this.trip.entry();
    if (this.#tellsIo) this.io.boundary(-1);
  }

  /** Adds what `from` counted; what is open in it is left out. */
  absorb(from: VcpuCounts): void {
    this.counts = plus(this.counts, from.counts);
    this.trip.absorb(from.trip);
    this.io.absorb(from.io);
  }

  #cause(userspaceReason: number): void {
    const open = this.trip.openReason;
    const reason = open < 0 ? this.#reasons.none : open;
    const { counts, slots } = this;
    const slot = slots.causes[causeIndex(userspaceReason, reason)] as number;
    if (slot > 0 && slot < counts.length) counts[slot] = (counts[slot] as number) + 1;
    else this.#count(slots.causeSlot(userspaceReason, reason));
  }

  /** Where it is the first of its kind. */
  #count(slot: number): void {
    if (slot >= this.counts.length) this.counts = withRoom(this.counts, slot);
    this.counts[slot] = (this.counts[slot] as number) + 1;
  }
}
