import { OTHER_ID } from '../../trace/names.js';
import type { MalformedKind, QemuSignal, QemuSink } from '../../trace/sink.js';
import { addCounters, type Counters, newCounters, withRoomFor } from '../counters/counters.js';
import { SourceCounts } from '../counters/source-counts.js';
import { pageOf } from '../vcpu/io-keys.js';
import { Ioeventfds } from '../vcpu/ioeventfds.js';
import { CounterRoom, type SharedRoom } from './counter-room.js';
import { QemuSignals } from './qemu-signals.js';

export interface KernelCoverage {
  /** True while a live kernel trace counts the userspace exits of every VM. */
  readonly now: boolean;
}

export interface QemuCountsOptions {
  /**
   * While the kernel covers all VMs, kvm_run_exit is only a cross-check: it counts as an event, not as an exit.
   */
  readonly coverage?: KernelCoverage;
  /** Counts about the source, which several files may share. */
  readonly source?: SourceCounts;
  /** Room for counters that all traces share. */
  readonly sharedRoom?: SharedRoom;
}

/** Room for a name or an address with its entry in a map, in counters. */
const ENTRY_ROOM = 16;

const NOT_COVERED: KernelCoverage = { now: false };
/** Ids of one trace that are counted separately; further ids are counted together. */
const MAX_IDS = 1024;
/** The same for the vCPUs of one id. */
const MAX_VCPUS = 4096;
const MAX_REGIONS = 1024;
const FIRST_MMIO_ADDRESS = 0x10000;

/**
 * Counts the events of one trace of QEMU: a file, or the markers in a kernel trace. Counts are kept by the id that each
 * event carries (a thread, a process or 0), because the VM that it belongs to may be found later.
 */
export class QemuCounts implements QemuSink {
  readonly source: SourceCounts;
  /** Time of the latest event on the trace's clock. */
  lastTimeNs = 0;
  /** id -> QEMU's cpu_index -> returns of KVM_RUN by reason. */
  readonly runExits = new Map<number, Map<number, Counters>>();
  /** id -> events by id of the QEMU event. */
  readonly events = new Map<number, Counters>();
  readonly signals: QemuSignals;
  /** id -> addresses at which KVM takes writes for QEMU. */
  readonly ioeventfds = new Map<number, Ioeventfds>();
  /** id -> port, or address of an MMIO page -> QEMU's name of what is there. */
  readonly regions = new Map<number, Map<number, string>>();
  readonly #coverage: KernelCoverage;
  readonly #room: CounterRoom;
  readonly #ids = new Set<number>();

  constructor({ coverage = NOT_COVERED, source = new SourceCounts(), sharedRoom }: QemuCountsOptions = {}) {
    this.#room = new CounterRoom(sharedRoom);
    this.signals = new QemuSignals(() => this.#room.take(ENTRY_ROOM));
    this.#coverage = coverage;
    this.source = source;
  }

  qemuRunExit(_timeNs: number, id: number, cpuIndex: number, reason: number): void {
    if (this.#coverage.now) return;
    const key = this.#bounded(id);
    const byCpu = this.runExits.get(key) ?? new Map<number, Counters>();
    const cpu = byCpu.has(cpuIndex) || byCpu.size < MAX_VCPUS ? cpuIndex : -1;
    if (!this.#tryCount(byCpu, cpu, reason)) countRest(child(this.runExits, 0));
    else if (!this.runExits.has(key)) this.runExits.set(key, byCpu);
  }

  qemuEvent(timeNs: number, id: number, event: number): void {
    this.lastTimeNs = timeNs;
    this.source.events++;
    if (!this.#tryCount(this.events, this.#bounded(id), event)) countRest(this.events);
  }

  qemuSignal(_timeNs: number, id: number, signal: QemuSignal, device: number): void {
    this.signals.signal(this.#bounded(id), signal, device);
  }

  qemuDevice(id: number, device: number, name: string): void {
    this.signals.device(this.#bounded(id), device, name);
  }

  qemuRegion(id: number, address: number, name: string): void {
    const regions = child(this.regions, this.#bounded(id));
    const at = address < FIRST_MMIO_ADDRESS ? address : pageOf(address);
    if (!regions.has(at) && regions.size < MAX_REGIONS && this.#room.take(ENTRY_ROOM)) regions.set(at, name);
  }

  setIoeventfd(id: number, mmio: boolean, address: number, assign: boolean): void {
    const key = this.#bounded(id);
    const known = this.ioeventfds.get(key) ?? new Ioeventfds();
    this.ioeventfds.set(key, known);
    if (known.knows(mmio, address) || this.#room.take(ENTRY_ROOM)) known.set(mmio, address, assign);
  }

  lost(cpu: number, events: number): void {
    this.source.addLost(cpu, events);
  }

  malformed(kind: MalformedKind): void {
    this.source.addMalformed(kind);
  }

  /** Adds the counts of `from` to those of `to`, and drops `from`. */
  moveCounts(from: number, to: number): void {
    for (const [cpuIndex, counters] of this.runExits.get(from) ?? [])
      merge(child(this.runExits, to), cpuIndex, counters);
    const events = this.events.get(from);
    if (events !== undefined) merge(this.events, to, events);
    const ioeventfds = this.ioeventfds.get(from);
    if (ioeventfds !== undefined) {
      const sum = this.ioeventfds.get(to) ?? new Ioeventfds();
      sum.absorb(ioeventfds);
      this.ioeventfds.set(to, sum);
    }
    for (const [address, name] of this.regions.get(from) ?? []) child(this.regions, to).set(address, name);
    this.signals.moveCounts(from, to);
    this.forget(from);
  }

  forget(id: number): void {
    for (const counters of [this.events.get(id), ...(this.runExits.get(id)?.values() ?? [])])
      if (counters !== undefined) this.#room.release(counters.length + ENTRY_ROOM);
    this.#room.release(ENTRY_ROOM * ((this.regions.get(id)?.size ?? 0) + (this.signals.counts.get(id)?.size ?? 0)));
    this.#room.release(ENTRY_ROOM * (this.ioeventfds.get(id)?.size ?? 0));
    this.#ids.delete(id);
    this.runExits.delete(id);
    this.events.delete(id);
    this.signals.forget(id);
    this.ioeventfds.delete(id);
    this.regions.delete(id);
  }

  /** Returns the id to count under. It is bounded because a log may name any number of threads. */
  #bounded(id: number): number {
    if (this.#ids.has(id)) return id;
    if (this.#ids.size >= MAX_IDS) return 0;
    this.#ids.add(id);
    return id;
  }

  /** Gives the room for counters back that the traces share. Call it when the counts are dropped. */
  release(): void {
    this.#room.releaseAll();
  }

  /** False if the trace has no room for that counter. */
  #tryCount(map: Map<number, Counters>, key: number, id: number): boolean {
    let counters = map.get(key);
    if (counters === undefined || id >= counters.length) {
      const longer = withRoomFor(counters ?? newCounters(), id);
      const more = counters === undefined ? longer.length + ENTRY_ROOM : longer.length - counters.length;
      if (!this.#room.take(more)) return false;
      counters = longer;
      map.set(key, counters);
    }
    counters[id] = (counters[id] as number) + 1;
    return true;
  }
}

/** Counts what there is no room for: without thread or vCPU, under the name `other`. */
function countRest(map: Map<number, Counters>): void {
  const rest = map.get(0) ?? newCounters();
  rest[OTHER_ID] = (rest[OTHER_ID] as number) + 1;
  map.set(0, rest);
}

function merge(map: Map<number, Counters>, key: number, counters: Counters): void {
  map.set(key, addCounters(map.get(key) ?? newCounters(), counters));
}

function child<T>(map: Map<number, Map<number, T>>, key: number): Map<number, T> {
  const known = map.get(key) ?? new Map<number, T>();
  map.set(key, known);
  return known;
}
