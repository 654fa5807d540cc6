/**
 * Combines QEMU's own traces by VM. Files of one backend follow each other (rotation), so their counts are added up. If
 * several backends have traced one VM, the largest count is right: a backend can miss events, but never invent one.
 */
import type { Names } from '../trace/names.js';
import { addCount, addCounters, type Counters, maxCounters, newCounters } from './counters/counters.js';
import type { QemuCounts } from './qemu/qemu-counts.js';
import { KICK_BY_EXIT, KICK_BY_IOEVENTFD, SIGNAL_KINDS } from './qemu/qemu-signals.js';
import type { VmIdentity } from './thread-owners.js';
import type { VcpuTotals, VmTotals } from './totals/vm-totals.js';
import { Ioeventfds } from './vcpu/ioeventfds.js';

/** Which of QEMU's trace backends wrote a trace. */
export type QemuBackend = 'ftrace' | 'log' | 'simple';

/** Maps the ids in a trace of QEMU (threads, in simple traces processes, or 0) to VMs. */
export interface QemuOwner {
  /** Label of the VM; undefined while the counts of the id are withheld. */
  labelOf(id: number): string | undefined;
  /** The VM itself, once it is known, so that its counts can be forgotten with it. */
  vmOf?(id: number): VmIdentity | undefined;
  /** True if the id is a thread that runs a vCPU. */
  isVcpu?(id: number): boolean;
}

/** A trace of QEMU as one backend wrote it. */
export interface QemuView {
  readonly backend: QemuBackend;
  readonly counts: QemuCounts;
  readonly owner: QemuOwner;
  /** Names of the events that it counts. */
  readonly names: Names;
}

/** Returns the totals of the VM with this label. */
type TotalsOf = (label: string) => VmTotals;

const BACKENDS: readonly QemuBackend[] = ['ftrace', 'log', 'simple'];

/** Adds QEMU's exits, signals and names of memory regions to the totals of its VMs. */
export function addQemuViews(views: readonly QemuView[], totalsOf: TotalsOf): void {
  for (const backend of BACKENDS) {
    const own = views.filter((view) => view.backend === backend);
    addRunExits(own, totalsOf);
    addSignals(own, totalsOf);
  }
  for (const { backend, counts, owner } of views)
    for (const [id, regions] of counts.regions) {
      const label = owner.labelOf(id);
      if (label === undefined || isNoVmOfFile(backend, label)) continue;
      const names = totalsOf(label).regionNames;
      for (const [address, name] of regions) if (!names.has(address)) names.set(address, name);
    }
}

/** Label of the VM -> events by name. */
export function qemuEventsByVm(views: readonly QemuView[]): Map<string, Map<string, number>> {
  const byVm = new Map<string, Map<string, number>>();
  for (const backend of BACKENDS) {
    const own = new Map<string, Map<string, number>>();
    for (const { counts, owner, names } of views.filter((view) => view.backend === backend)) {
      for (const [id, counters] of counts.events) {
        const vm = owner.labelOf(id);
        if (vm !== undefined) addNamed(countsOf(own, vm), counters, names);
      }
    }
    for (const [vm, counts] of own) {
      const largest = countsOf(byVm, vm);
      for (const [name, count] of counts) largest.set(name, Math.max(count, largest.get(name) ?? 0));
    }
  }
  return byVm;
}

/** True for a file of no known VM. It says nothing about the threads of no known VM in the kernel's trace. */
function isNoVmOfFile(backend: QemuBackend, label: string): boolean {
  return label === '' && backend !== 'ftrace';
}

function countsOf(byVm: Map<string, Map<string, number>>, vm: string): Map<string, number> {
  const known = byVm.get(vm) ?? new Map<string, number>();
  byVm.set(vm, known);
  return known;
}

function addNamed(sums: Map<string, number>, counters: Counters, names: Names): void {
  for (let id = 0; id < counters.length; id++) {
    const count = counters[id] as number;
    if (count > 0) addCount(sums, names.text(id), count);
  }
}

/**
 * Label of the VM -> addresses at which KVM takes writes for QEMU. From one backend only: an ioeventfd that two
 * backends assign would be taken back once.
 */
export function ioeventfdsByVm(views: readonly QemuView[]): Map<string, Ioeventfds> {
  const byVm = new Map<string, Ioeventfds>();
  for (const backend of BACKENDS) {
    const own = new Map<string, Ioeventfds>();
    for (const { counts, owner } of views.filter((view) => view.backend === backend)) {
      for (const [id, ioeventfds] of counts.ioeventfds) {
        const vm = owner.labelOf(id);
        if (vm === undefined || isNoVmOfFile(backend, vm)) continue;
        const sum = own.get(vm) ?? new Ioeventfds();
        sum.absorb(ioeventfds);
        own.set(vm, sum);
      }
    }
    for (const [vm, ioeventfds] of own) if (byVm.get(vm)?.isComplete !== true) byVm.set(vm, ioeventfds);
  }
  return byVm;
}

/** Adds up what one backend says of each vCPU, then takes the larger of that and what the other backends said. */
function addRunExits(views: readonly QemuView[], totalsOf: TotalsOf): void {
  const own = new Map<VcpuTotals, Counters>();
  for (const { counts, owner } of views) {
    for (const [id, byCpu] of counts.runExits) {
      const label = owner.labelOf(id);
      if (label === undefined) continue;
      const vm = totalsOf(label);
      for (const [cpuIndex, counters] of byCpu) {
        const sum = vm.vcpu(cpuIndex < 0 ? '' : String(cpuIndex));
        own.set(sum, addCounters(own.get(sum) ?? newCounters(), counters));
      }
    }
  }
  for (const [sum, counters] of own) sum.qemu = maxCounters(sum.qemu, counters);
}

function addSignals(views: readonly QemuView[], totalsOf: TotalsOf): void {
  const own = new Map<VmTotals, Map<string, Float64Array>>();
  for (const { counts, owner } of views) {
    for (const [id, devices] of counts.signals.counts) {
      const label = owner.labelOf(id);
      if (label === undefined) continue;
      const vm = totalsOf(label);
      const sums = own.get(vm) ?? new Map<string, Float64Array>();
      own.set(vm, sums);
      const vcpu = owner.isVcpu?.(id) === true;
      for (const [device, counters] of devices) addDevice(sums, device, vcpu ? asExits(counters) : counters);
    }
  }
  for (const [vm, devices] of own)
    for (const [device, counters] of devices)
      vm.qemuSignals.set(
        device,
        maxCounters(vm.qemuSignals.get(device) ?? new Float64Array(SIGNAL_KINDS.length), counters),
      );
}

/**
 * Counts kicks by ioeventfd as kicks by exit: a vCPU's own thread handles a kick only after KVM_RUN returned for it.
 */
function asExits(counters: Float64Array): Float64Array {
  const exits = counters.slice();
  exits[KICK_BY_EXIT] = (counters[KICK_BY_EXIT] as number) + (counters[KICK_BY_IOEVENTFD] as number);
  exits[KICK_BY_IOEVENTFD] = 0;
  return exits;
}

function addDevice(sums: Map<string, Float64Array>, device: string, counters: Float64Array): void {
  sums.set(device, addCounters(sums.get(device) ?? new Float64Array(SIGNAL_KINDS.length), counters));
}
