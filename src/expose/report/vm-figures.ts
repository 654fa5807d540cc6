import type { StatisticGrowth } from '../../count/statistics/statistic-growth.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { isFailedCall } from '../../snapshot/tables/layer.js';
import type { Recorded } from './recorded.js';
import { type Shown, shownOf } from './shown.js';
import { compareText } from './text-table.js';

/** The main figures of a VM, of one of its vCPUs, or of all VMs; undefined where the recording does not show them. */
export interface Figures {
  /** Number of vCPUs. */
  readonly vcpus: number | undefined;
  /** VM exits: those of the trace, or those that KVM counted itself where its trace has none. */
  readonly kvmExits: number | undefined;
  /** Returns of KVM_RUN to QEMU, without the calls that failed. */
  readonly qemuExits: number | undefined;
  /** Part of the VM exits that went on to QEMU. */
  readonly share: number | undefined;
  /** Time that the vCPUs spent outside their guest, without idle time. */
  readonly outsideSeconds: number | undefined;
  /** The part of it in QEMU. */
  readonly inQemuSeconds: number | undefined;
  /** Number of vCPUs of which the time outside their guest is known. */
  readonly timedVcpus: number | undefined;
}

export interface VcpuFigures extends Figures {
  /** '' if it is not known. */
  readonly vcpu: string;
}

export interface VmFigures extends Figures {
  readonly vm: string;
  readonly byVcpu: readonly VcpuFigures[];
}

/** What VMs and vCPUs are ordered by. The largest figure comes first, and figures that are not known come last. */
export type VmOrder = 'qemu' | 'time' | 'share' | 'exits' | 'name';

const ORDERS: Readonly<Record<VmOrder, (figures: Figures) => number | undefined>> = {
  qemu: ({ qemuExits }) => qemuExits,
  time: ({ outsideSeconds }) => outsideSeconds,
  share: ({ share }) => share,
  exits: ({ kvmExits }) => kvmExits,
  name: () => undefined,
};

/** Every VM that has exits, the worst one first. */
export function vmFigures(
  { snapshot, statistics = [] }: Pick<Recorded, 'snapshot' | 'statistics'>,
  order: VmOrder,
): VmFigures[] {
  const compare = (a: Figures, b: Figures) => (ORDERS[order](b) ?? -1) - (ORDERS[order](a) ?? -1);
  const vcpus = new Map(snapshot.vms.map((info) => [info.vm, info.vcpus]));
  const shownOfVm = shownOf(snapshot);
  const byKvm = exitsByKvm(statistics);
  return [...sumsByVm(snapshot, byKvm.keys())]
    .map(([vm, byVcpu]): VmFigures => {
      const all = addSums([...byVcpu.values()]);
      const shows = shownOfVm(vm);
      const known = [...byVcpu.keys()].filter((vcpu) => vcpu !== '').length;
      const count = Math.max(known, vcpus.get(vm) ?? 0) || undefined;
      const own = byKvm.get(vm);
      const ofVcpu = (vcpu: string) => own?.get(vcpu) ?? (count === 1 ? own?.get('') : undefined);
      return {
        vm,
        ...figuresOf(all, shows, count, own && [...own.values()].reduce((sum, exits) => sum + exits, 0)),
        byVcpu: Array.from(byVcpu, ([vcpu, sums]) => ({ vcpu, ...figuresOf(sums, shows, 1, ofVcpu(vcpu)) })).sort(
          (a, b) => compare(a, b) || compareNumbers(a.vcpu, b.vcpu),
        ),
      };
    })
    .sort((a, b) => compare(a, b) || compareText(a.vm, b.vm));
}

/** The figures of all VMs together. The share is that of the VMs of which both layers are known. */
export function sumOfVms(vms: readonly Figures[]): Figures {
  const both = vms.filter(({ share }) => share !== undefined);
  const sum = (figure: keyof Figures, of = vms) => sumOfKnown(of.map((figures) => figures[figure]));
  return {
    vcpus: sum('vcpus'),
    kvmExits: sum('kvmExits'),
    qemuExits: sum('qemuExits'),
    share: quotient(sum('qemuExits', both), sum('kvmExits', both)),
    outsideSeconds: sum('outsideSeconds'),
    inQemuSeconds: sum('inQemuSeconds'),
    timedVcpus: sum('timedVcpus'),
  };
}

/** `2` comes before `10`. */
export function compareNumbers(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

interface Sums {
  kvmExits: number;
  qemuExits: number;
  kvmSeconds: number;
  qemuSeconds: number;
}

/** Label of the VM -> vCPU, '' for those of the VM as a whole -> exits that KVM counted; no entry if there are none. */
function exitsByKvm(statistics: readonly StatisticGrowth[]): Map<string, Map<string, number>> {
  const vms = new Map<string, Map<string, number>>();
  for (const { vm, vcpu, stat, growth } of statistics)
    if (stat === 'exits' && growth > 0) vms.set(vm, (vms.get(vm) ?? new Map<string, number>()).set(vcpu, growth));
  return vms;
}

/** @param untraced VMs that raised no event */
function sumsByVm({ exits, vcpuTimes }: Snapshot, untraced: Iterable<string>): Map<string, Map<string, Sums>> {
  const vms = new Map<string, Map<string, Sums>>();
  for (const { vm, vcpu, layer, reason, count } of exits) {
    const byVcpu = vms.get(vm) ?? new Map<string, Sums>();
    const sums = byVcpu.get(vcpu) ?? noSums();
    if (layer === 'kvm') sums.kvmExits += count;
    else if (!isFailedCall(reason)) sums.qemuExits += count;
    byVcpu.set(vcpu, sums);
    vms.set(vm, byVcpu);
  }
  for (const { vm, vcpu, kvmSeconds = 0, qemuSeconds = 0 } of vcpuTimes) {
    const sums = vms.get(vm)?.get(vcpu);
    if (sums === undefined) continue;
    sums.kvmSeconds += kvmSeconds;
    sums.qemuSeconds += qemuSeconds;
  }
  for (const vm of untraced) if (!vms.has(vm)) vms.set(vm, new Map([['', noSums()]]));
  return vms;
}

function noSums(): Sums {
  return { kvmExits: 0, qemuExits: 0, kvmSeconds: 0, qemuSeconds: 0 };
}

function addSums(all: readonly Sums[]): Sums {
  const sum = (figure: keyof Sums) => all.reduce((total, sums) => total + sums[figure], 0);
  return {
    kvmExits: sum('kvmExits'),
    qemuExits: sum('qemuExits'),
    kvmSeconds: sum('kvmSeconds'),
    qemuSeconds: sum('qemuSeconds'),
  };
}

/** @param byKvm exits that KVM counted itself */
function figuresOf(sums: Sums, shows: Shown, vcpus: number | undefined, byKvm: number | undefined): Figures {
  const when = (isKnown: boolean, figure: number | undefined) => (isKnown ? figure : undefined);
  const kvmExits = shows.exits ? sums.kvmExits : byKvm;
  const qemuExits = when(shows.returns, sums.qemuExits);
  const share = quotient(qemuExits, kvmExits);
  const isTimed = shows.entries && shows.exits;
  return {
    vcpus,
    kvmExits,
    qemuExits,
    // KVM's count is not of exactly the same moments as ours: a share of about 1 may seem larger.
    share: shows.exits ? share : share && Math.min(1, share),
    outsideSeconds: when(isTimed, sums.kvmSeconds + sums.qemuSeconds),
    inQemuSeconds: when(shows.entries && shows.userspaceExits, sums.qemuSeconds),
    timedVcpus: when(isTimed, vcpus),
  };
}

/** Undefined if no figure is known. */
function sumOfKnown(figures: readonly (number | undefined)[]): number | undefined {
  const known = figures.filter((figure) => figure !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, figure) => sum + figure, 0);
}

function quotient(part: number | undefined, whole: number | undefined): number | undefined {
  return part === undefined || whole === undefined || whole === 0 ? undefined : part / whole;
}
