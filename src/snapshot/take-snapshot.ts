import type { AddressCounts } from '../count/busiest-addresses.js';
import { type Counters, withRoomFor } from '../count/counters/counters.js';
import { summarize } from '../count/counters/duration-histogram.js';
import type { SourceCounts } from '../count/counters/source-counts.js';
import type { LedgerTotals } from '../count/ledger-totals.js';
import { SIGNAL_KINDS } from '../count/qemu/qemu-signals.js';
import type { CounterSlot } from '../count/vcpu/counter-layout.js';
import { decodeIoKey } from '../count/vcpu/io-table.js';
import { deviceAt } from '../count/vcpu/pc-devices.js';
import type { VmTotals } from '../count/vm-totals.js';
import type { Names } from '../trace/names.js';
import type { DeviceRanges } from '../trace/sink.js';
import { Columns, ExitRows } from './exit-rows.js';
import type {
  CauseCount,
  EventfdCount,
  ExitDuration,
  IoCount,
  Layer,
  NamedCount,
  OutsideTime,
  Snapshot,
  SourceState,
  UnpairedCount,
  VmInfo,
} from './snapshot.js';

/**
 * Turns sums by id into counts by name.
 * @param infos the VMs to describe, whether they had events or not
 */
export function takeSnapshot(sums: LedgerTotals, infos: readonly VmInfo[] = []): Snapshot {
  const { vocabulary, collectors, layout, vms } = sums;
  const { reasons } = vocabulary;
  const causeSlots = layout.slots('causes');
  const each = <T>(of: (vm: string, sum: VmTotals) => T[]): T[] => [...vms].flatMap(([vm, sum]) => of(vm, sum));
  return {
    exits: exits(sums),
    durations: collectors.duration ? each((vm, sum) => durations(vm, sum, reasons)) : [],
    outside: collectors.duration ? each(outside) : [],
    unpaired: collectors.duration ? each(unpaired) : [],
    causes: collectors.causes ? each((vm, sum) => causes(vm, sum, reasons, causeSlots)) : [],
    io: collectors.io
      ? each((vm, sum) => io(vm, sum.regionNames, sums.devicesOf(vm), sums.busiestAddresses(vm, sum)))
      : [],
    eventfds: collectors.eventfd ? each(eventfds) : [],
    tracepoints: named(sums.tracepointHits, vocabulary.tracepoints),
    qemuEvents: [...sums.qemuEvents].flatMap(([vm, cells]) =>
      named(cells, vocabulary.qemuEvents).map(({ name, count }) => ({ vm, event: name, count })),
    ),
    vms: infos.map((info) => withVcpus(info, vms.get(info.vm))),
    sources: sums.sources.map(({ name, counts }) => sourceState(name, counts)),
    unattributedEvents: [...(vms.get('')?.vcpus.values() ?? [])].reduce(
      (sum, { kernel }) => sum + layout.total('exits', kernel) + layout.total('userspaceExits', kernel),
      0,
    ),
  };
}

function exits({ vms, vocabulary, layout, kernelCountsAll }: LedgerTotals): ExitRows {
  const [kvmSlots, qemuSlots] = [layout.slots('exits'), layout.slots('userspaceExits')];
  const labels: { readonly vm: string; readonly vcpu: string }[] = [];
  const columns = new Columns();
  for (const [vm, { vcpus }] of vms) {
    const isSeen =
      kernelCountsAll || [...vcpus.values()].some(({ kernel }) => layout.total('userspaceExits', kernel) > 0);
    for (const [vcpu, { kernel, qemu }] of vcpus) {
      const index = labels.push({ vm, vcpu }) - 1;
      const add = (layer: Layer, reason: number, count: number) => {
        if (count > 0) columns.add(index, layer, reason, count);
      };
      for (const { slot, reason } of kvmSlots) add('kvm', reason, kernel[slot] ?? 0);
      if (qemu.length === 0 || (isSeen && !kernelCountsAll))
        for (const { slot, reason } of qemuSlots) add('qemu', reason, kernel[slot] ?? 0);
      else
        withKernel(qemu, qemuSlots, kernel).forEach((count, reason) => {
          add('qemu', reason, count);
        });
    }
  }
  return new ExitRows(labels, vocabulary.reasons.texts(), columns);
}

/** By reason: what QEMU's trace told, and the kernel's at other times. */
function withKernel(qemu: Counters, slots: readonly CounterSlot[], kernel: Counters): Counters {
  let sum: Counters = qemu.slice();
  for (const { slot, reason } of slots) {
    sum = withRoomFor(sum, reason);
    sum[reason] = (sum[reason] as number) + (kernel[slot] ?? 0);
  }
  return sum;
}

function durations(vm: string, sum: VmTotals, reasons: Names): ExitDuration[] {
  const { kvm, qemu } = sum.durations;
  const layers = [
    ['kvm', kvm],
    ['qemu', qemu],
  ] as const;
  return layers.flatMap(([layer, byReason]) =>
    byReason.flatMap((own, reason) =>
      own === undefined ? [] : [{ vm, layer, reason: reasons.text(reason), ...summarize(own) }],
    ),
  );
}

function outside(vm: string, { vcpus }: VmTotals): OutsideTime[] {
  return Array.from(vcpus, ([vcpu, { kvmNs, qemuNs, idleNs }]) => ({
    vm,
    vcpu,
    kvmSeconds: kvmNs * 1e-9,
    qemuSeconds: qemuNs * 1e-9,
    idleSeconds: idleNs * 1e-9,
  }));
}

function unpaired(vm: string, { unpairedKvm, unpairedQemu }: VmTotals): UnpairedCount[] {
  return [
    { vm, layer: 'kvm', count: unpairedKvm },
    { vm, layer: 'qemu', count: unpairedQemu },
  ];
}

function causes(vm: string, { kernel }: VmTotals, reasons: Names, slots: readonly CounterSlot[]): CauseCount[] {
  return slots.flatMap(({ slot, reason, userspaceReason }) => {
    const count = kernel[slot] ?? 0;
    return count > 0
      ? [{ vm, reason: reasons.text(reason), userspaceReason: reasons.text(userspaceReason), count }]
      : [];
  });
}

function io(
  vm: string,
  regions: ReadonlyMap<number, string>,
  own: DeviceRanges | undefined,
  { series, rest }: AddressCounts,
): IoCount[] {
  const counts: IoCount[] = [];
  for (const [key, count] of series) {
    const { bus, direction, layer, address } = decodeIoKey(key);
    counts.push({
      vm,
      bus,
      direction,
      layer,
      address: `0x${address.toString(16)}`,
      device: deviceAt(bus === 'mmio', address, own) || (regions.get(address) ?? ''),
      count,
    });
  }
  rest.forEach((count, kind) => {
    const { bus, direction, layer } = decodeIoKey(kind);
    if (count > 0) counts.push({ vm, bus, direction, layer, address: 'other', device: '', count });
  });
  return counts;
}

function eventfds(vm: string, { kicks, interrupts, qemuSignals }: VmTotals): EventfdCount[] {
  const seenByQemu = [...qemuSignals].flatMap(([device, counts]) =>
    SIGNAL_KINDS.map((kind, index) => ({ vm, kind, seenBy: 'qemu' as const, device, count: counts[index] ?? 0 })),
  );
  return [
    { vm, kind: 'ioeventfd', seenBy: 'kvm', device: '', count: kicks },
    { vm, kind: 'irqfd', seenBy: 'kvm', device: '', count: interrupts },
    ...seenByQemu.filter(({ count }) => count > 0),
  ];
}

function named(cells: Counters, names: Names): NamedCount[] {
  const counts: NamedCount[] = [];
  for (let id = 0; id < cells.length; id++) {
    const count = cells[id] as number;
    if (count > 0) counts.push({ name: names.text(id), count });
  }
  return counts;
}

function withVcpus(info: VmInfo, sum: VmTotals | undefined): VmInfo {
  const seen = [...(sum?.vcpus.keys() ?? [])].filter((vcpu) => vcpu !== '').length;
  return { ...info, vcpus: Math.max(info.vcpus, seen) };
}

function sourceState(source: string, counts: SourceCounts): SourceState {
  const { lost, lostInClosedBuffers, unknownGaps, overruns, malformed } = counts;
  const cpus = new Set([...lost.keys(), ...unknownGaps.keys(), ...overruns.keys(), ...lostInClosedBuffers.keys()]);
  return {
    source,
    up: counts.up,
    events: counts.events,
    drains: counts.drains,
    drainSeconds: counts.drainSeconds,
    lost: [...cpus]
      .sort((a, b) => a - b)
      .map((cpu) => ({
        cpu: cpu < 0 ? '' : String(cpu),
        // Two accounts of the same loss: flags in the pages, and the buffer's statistics, which also know the size of every gap.
        events: (lostInClosedBuffers.get(cpu) ?? 0) + Math.max(lost.get(cpu) ?? 0, overruns.get(cpu) ?? 0),
        unknownGaps: overruns.has(cpu) ? 0 : (unknownGaps.get(cpu) ?? 0),
      })),
    malformed: [...malformed].map(([kind, count]) => ({ kind, count })),
  };
}
