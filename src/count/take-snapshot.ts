import type { Names } from '../decode/names.js';
import type { DeviceRanges, Vocabulary } from '../trace-sink.js';
import { type Cells, plus, total } from './cells.js';
import { deviceAt } from './devices.js';
import { summary } from './duration.js';
import { ioAddress } from './io-table.js';
import { SIGNAL_KINDS } from './qemu-signals.js';
import type {
  CauseCount,
  EventfdCount,
  ExitCount,
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
import type { SourceCounts } from './source-counts.js';
import type { Collectors } from './vcpu-counts.js';
import type { VmSum } from './vm-sums.js';

export interface Sums {
  readonly vocabulary: Vocabulary;
  readonly collectors: Collectors;
  readonly vms: ReadonlyMap<string, VmSum>;
  readonly infos: readonly VmInfo[];
  /** A live kernel trace has counted exits of all VMs at least for a time: what QEMU counted besides is of other times. */
  readonly kernelCountsAll: boolean;
  readonly hits: Cells;
  readonly qemuEvents: ReadonlyMap<string, Cells>;
  readonly sources: readonly { readonly name: string; readonly counts: SourceCounts }[];
  /** What a VM itself says of its devices, where it was asked. */
  readonly devices: (vm: string) => DeviceRanges | undefined;
  readonly busiest: (
    vm: string,
    sum: VmSum,
  ) => { readonly series: ReadonlyMap<number, number>; readonly rest: Float64Array };
}

/** Turns sums by id into counts by name. */
export function takeSnapshot(sums: Sums): Snapshot {
  const { vocabulary, collectors, vms } = sums;
  const { reasons } = vocabulary;
  const each = <T>(of: (vm: string, sum: VmSum) => T[]): T[] => [...vms].flatMap(([vm, sum]) => of(vm, sum));
  return {
    exits: each((vm, sum) => exits(vm, sum, reasons, sums.kernelCountsAll)),
    durations: collectors.duration ? each((vm, sum) => durations(vm, sum, reasons)) : [],
    outside: collectors.duration ? each(outside) : [],
    unpaired: collectors.duration ? each(unpaired) : [],
    causes: collectors.causes ? each((vm, sum) => causes(vm, sum, reasons)) : [],
    io: collectors.io ? each((vm, sum) => io(vm, sum.regions, sums.devices(vm), sums.busiest(vm, sum))) : [],
    eventfds: collectors.eventfd ? each(eventfds) : [],
    tracepoints: named(sums.hits, vocabulary.tracepoints),
    qemuEvents: [...sums.qemuEvents].flatMap(([vm, cells]) =>
      named(cells, vocabulary.qemuEvents).map(({ name, count }) => ({ vm, event: name, count })),
    ),
    vms: sums.infos.map((info) => withVcpus(info, vms.get(info.vm))),
    sources: sums.sources.map(({ name, counts }) => sourceState(name, counts)),
    unattributedEvents: [...(vms.get('')?.vcpus.values() ?? [])].reduce(
      (sum, vcpu) => sum + total(vcpu.kvm) + total(vcpu.kernel),
      0,
    ),
  };
}

function exits(vm: string, { vcpus }: VmSum, reasons: Names, kernelCountsAll: boolean): ExitCount[] {
  const kernelSees = [...vcpus.values()].some((sum) => total(sum.kernel) > 0);
  return [...vcpus].flatMap(([vcpu, sum]) => {
    const layers: [Layer, Cells][] = [
      ['kvm', sum.kvm],
      ['qemu', kernelCountsAll ? plus(sum.kernel.slice(), sum.qemu) : kernelSees ? sum.kernel : sum.qemu],
    ];
    return layers.flatMap(([layer, cells]) =>
      named(cells, reasons).map(({ name, count }) => ({ vm, vcpu, layer, reason: name, count })),
    );
  });
}

function durations(vm: string, sum: VmSum, reasons: Names): ExitDuration[] {
  const layers = [
    ['kvm', sum.kvmDurations],
    ['qemu', sum.qemuDurations],
  ] as const;
  return layers.flatMap(([layer, byReason]) =>
    Array.from(byReason, ([reason, own]) => ({ vm, layer, reason: reasons.text(reason), ...summary(own) })),
  );
}

function outside(vm: string, { vcpus }: VmSum): OutsideTime[] {
  return Array.from(vcpus, ([vcpu, { kvmNs, qemuNs, idleNs }]) => ({
    vm,
    vcpu,
    kvmSeconds: kvmNs * 1e-9,
    qemuSeconds: qemuNs * 1e-9,
    idleSeconds: idleNs * 1e-9,
  }));
}

function unpaired(vm: string, { unpairedKvm, unpairedQemu }: VmSum): UnpairedCount[] {
  return [
    { vm, layer: 'kvm', count: unpairedKvm },
    { vm, layer: 'qemu', count: unpairedQemu },
  ];
}

function causes(vm: string, sum: VmSum, reasons: Names): CauseCount[] {
  return [...sum.causes].flatMap(([userspaceReason, cells]) =>
    named(cells, reasons).map(({ name, count }) => ({
      vm,
      reason: name,
      userspaceReason: reasons.text(userspaceReason),
      count,
    })),
  );
}

function io(
  vm: string,
  regions: ReadonlyMap<number, string>,
  own: DeviceRanges | undefined,
  { series, rest }: ReturnType<Sums['busiest']>,
): IoCount[] {
  const counts: IoCount[] = [];
  for (const [key, count] of series) {
    const { bus, direction, layer, address } = ioAddress(key);
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
    const { bus, direction, layer } = ioAddress(kind);
    if (count > 0) counts.push({ vm, bus, direction, layer, address: 'other', device: '', count });
  });
  return counts;
}

function eventfds(vm: string, { kicks, interrupts, qemuSignals }: VmSum): EventfdCount[] {
  const seenByQemu = [...qemuSignals].flatMap(([device, counts]) =>
    SIGNAL_KINDS.map((kind, index) => ({ vm, kind, seenBy: 'qemu' as const, device, count: counts[index] ?? 0 })),
  );
  return [
    { vm, kind: 'ioeventfd', seenBy: 'kvm', device: '', count: kicks },
    { vm, kind: 'irqfd', seenBy: 'kvm', device: '', count: interrupts },
    ...seenByQemu.filter(({ count }) => count > 0),
  ];
}

function named(cells: Cells, names: Names): NamedCount[] {
  const counts: NamedCount[] = [];
  for (let id = 0; id < cells.length; id++) {
    const count = cells[id] as number;
    if (count > 0) counts.push({ name: names.text(id), count });
  }
  return counts;
}

function withVcpus(info: VmInfo, sum: VmSum | undefined): VmInfo {
  const seen = [...(sum?.vcpus.keys() ?? [])].filter((vcpu) => vcpu !== '').length;
  return { ...info, vcpus: Math.max(info.vcpus, seen) };
}

function sourceState(source: string, counts: SourceCounts): SourceState {
  const { lost, unknownGaps, overruns, malformed } = counts;
  const cpus = new Set([...lost.keys(), ...unknownGaps.keys(), ...overruns.keys()]);
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
        events: Math.max(lost.get(cpu) ?? 0, overruns.get(cpu) ?? 0),
        unknownGaps: overruns.has(cpu) ? 0 : (unknownGaps.get(cpu) ?? 0),
      })),
    malformed: [...malformed].map(([kind, count]) => ({ kind, count })),
  };
}
