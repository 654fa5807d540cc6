import type { MalformedKind, QemuSignal, QemuSink } from '../../trace/sink.js';
import { addCounters, type Counters, newCounters, withRoomFor } from '../counters/counters.js';
import { SourceCounts } from '../counters/source-counts.js';
import { PAGE_BYTES } from '../vcpu/io-table.js';
import { Ioeventfds } from '../vcpu/ioeventfds.js';
import { QemuSignals } from './qemu-signals.js';

/** Whether a live kernel trace counts the exits to userspace of every VM. */
export interface KernelCoverage {
  readonly now: boolean;
}

export interface QemuCountsOptions {
  /**
   * While the kernel's trace covers all VMs, kvm_run_exit is only a cross-check: it counts as an event, not as an exit.
   */
  readonly coverage?: KernelCoverage;
  /** Of several files together. */
  readonly source?: SourceCounts;
}

const NOT_COVERED: KernelCoverage = { now: false };
/** Ids of one trace that are told apart, and vCPUs of one id: all others are one. */
const MAX_IDS = 4096;
const MAX_VCPUS = 4096;
const MAX_REGIONS = 1024;
const FIRST_NO_PORT = 0x10000;

/**
 * What QEMU's trace said: of one file, or by the markers of one kernel trace. Kept by the id that each event carries (a
 * thread, a process or 0), because whose it is may be learned later.
 */
export class QemuCounts implements QemuSink {
  readonly source: SourceCounts;
  /** Time of the latest event on the trace's own clock. */
  lastTimeNs = 0;
  /** id -> QEMU's cpu_index -> returns of KVM_RUN by reason. */
  readonly runExits = new Map<number, Map<number, Counters>>();
  /** id -> events by name. */
  readonly events = new Map<number, Counters>();
  readonly signals = new QemuSignals();
  /** id -> addresses that KVM takes for it. */
  readonly ioeventfds = new Map<number, Ioeventfds>();
  /** id -> port, or address of an MMIO page -> QEMU's name of what is there. */
  readonly regions = new Map<number, Map<number, string>>();
  readonly #coverage: KernelCoverage;

  constructor({ coverage = NOT_COVERED, source = new SourceCounts() }: QemuCountsOptions = {}) {
    this.#coverage = coverage;
    this.source = source;
  }

  qemuRunExit(_timeNs: number, id: number, cpuIndex: number, reason: number): void {
    if (this.#coverage.now) return;
    const byCpu = this.runExits.get(id) ?? child(this.runExits, this.#bounded(id));
    count(byCpu, byCpu.has(cpuIndex) || byCpu.size < MAX_VCPUS ? cpuIndex : -1, reason);
  }

  qemuEvent(timeNs: number, id: number, event: number): void {
    this.lastTimeNs = timeNs;
    this.source.events++;
    count(this.events, this.#bounded(id), event);
  }

  qemuSignal(_timeNs: number, id: number, signal: QemuSignal, device: number): void {
    this.signals.signal(this.#bounded(id), signal, device);
  }

  qemuDevice(id: number, device: number, name: string): void {
    this.signals.device(this.#bounded(id), device, name);
  }

  qemuRegion(id: number, address: number, name: string): void {
    const regions = child(this.regions, this.#bounded(id));
    const at = address < FIRST_NO_PORT ? address : address - (address % PAGE_BYTES);
    if (!regions.has(at) && regions.size < MAX_REGIONS) regions.set(at, name);
  }

  setIoeventfd(id: number, mmio: boolean, address: number, assign: boolean): void {
    const key = this.#bounded(id);
    const known = this.ioeventfds.get(key) ?? new Ioeventfds();
    this.ioeventfds.set(key, known);
    known.set(mmio, address, assign);
  }

  lost(cpu: number, events: number): void {
    this.source.addLost(cpu, events);
  }

  malformed(kind: MalformedKind): void {
    this.source.addMalformed(kind);
  }

  /** Everything of `id` is now of `other`: a thread's number was given to another thread. */
  rename(id: number, other: number): void {
    for (const [cpuIndex, cells] of this.runExits.get(id) ?? []) merge(child(this.runExits, other), cpuIndex, cells);
    const events = this.events.get(id);
    if (events !== undefined) merge(this.events, other, events);
    const ioeventfds = this.ioeventfds.get(id);
    if (ioeventfds !== undefined) {
      const others = this.ioeventfds.get(other) ?? new Ioeventfds();
      others.absorb(ioeventfds);
      this.ioeventfds.set(other, others);
    }
    for (const [address, name] of this.regions.get(id) ?? []) child(this.regions, other).set(address, name);
    this.signals.rename(id, other);
    this.forget(id);
  }

  forget(id: number): void {
    this.runExits.delete(id);
    this.events.delete(id);
    this.signals.forget(id);
    this.ioeventfds.delete(id);
    this.regions.delete(id);
  }

  /** A log may name any number of threads. */
  #bounded(id: number): number {
    return this.events.has(id) || this.events.size < MAX_IDS ? id : 0;
  }
}

function count(map: Map<number, Counters>, key: number, id: number): void {
  let cells = map.get(key);
  if (cells === undefined || id >= cells.length) {
    cells = withRoomFor(cells ?? newCounters(), id);
    map.set(key, cells);
  }
  cells[id] = (cells[id] as number) + 1;
}

function merge(map: Map<number, Counters>, key: number, cells: Counters): void {
  map.set(key, addCounters(map.get(key) ?? newCounters(), cells));
}

function child<T>(map: Map<number, Map<number, T>>, key: number): Map<number, T> {
  const known = map.get(key) ?? new Map<number, T>();
  map.set(key, known);
  return known;
}
