import type { IoCount } from '../../snapshot/tables/io.js';
import type { Layer } from '../../snapshot/tables/layer.js';
import { perSecond, type Recorded } from '../report/recorded.js';
import { type VmOrder, vmFigures } from '../report/vm-figures.js';
import { timeLost } from '../report/worst-vm.js';
import { type FindingDiff, findingDiffs } from './finding-diffs.js';
import { type MatchedVm, matchVms } from './match-vms.js';
import { compareRises, type Pair } from './pair.js';
import { Side } from './side.js';

/**
 * The main figures of a VM: exits per second to QEMU and to KVM, the share of exits that reach QEMU, and the part of
 * the vCPUs' time that is lost.
 */
export type VmFigure = 'qemu' | 'exits' | 'share' | 'time';

export interface VmDiff {
  /** Name in the second recording. */
  readonly vm: string;
  readonly vmBefore: string;
  readonly figures: Readonly<Record<VmFigure, Pair>>;
}

export interface ReasonDiff {
  readonly vm: string;
  readonly layer: Layer;
  readonly reason: string;
  /** Exits per second, or their share of the VM's exits in the layer. */
  readonly often: Pair;
  /** Mean time that one of them takes. */
  readonly seconds: Pair;
}

export interface IoDiff extends Omit<IoCount, 'count' | 'qemuSeconds'> {
  /** Accesses per second, or their share of the VM's accesses. */
  readonly often: Pair;
}

/** What changed between two recordings. */
export interface Diff {
  readonly before: Recorded;
  readonly after: Recorded;
  /** True if both have a length: rates are compared. Otherwise shares are. */
  readonly hasRates: boolean;
  /** The VMs of both recordings. The one whose figure rose most comes first. */
  readonly vms: readonly VmDiff[];
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  readonly reasons: readonly ReasonDiff[];
  readonly io: readonly IoDiff[];
  readonly findings: readonly FindingDiff[];
}

/** @param order the figure by which VMs are ordered, or their name */
export function diffOf(before: Recorded, after: Recorded, order: VmOrder): Diff {
  const [vmsBefore, vmsAfter] = [before, after].map((recorded) => vmFigures(recorded, 'name'));
  const { both, onlyBefore, onlyAfter } = matchVms(vmsBefore ?? [], vmsAfter ?? []);
  const hasRates = [before, after].every(({ time }) => (time.seconds ?? 0) > 0);
  const sides = { before: new Side(before, hasRates), after: new Side(after, hasRates) };
  const vms = both.map((vm) => vmDiff(vm, before, after));
  const figure = hasRates || order === 'name' ? order : 'share';
  return {
    before,
    after,
    hasRates,
    vms: figure === 'name' ? vms : vms.sort((a, b) => compareRises(a.figures[figure], b.figures[figure])),
    onlyBefore,
    onlyAfter,
    reasons: both.flatMap((vm) => reasonDiffs(vm, sides)),
    io: both.flatMap((vm) => ioDiffs(vm, sides)),
    findings: findingDiffs(vms, before, after),
  };
}

function vmDiff(vm: MatchedVm, before: Recorded, after: Recorded): VmDiff {
  return {
    vm: vm.after.vm,
    vmBefore: vm.before.vm,
    figures: {
      qemu: {
        before: perSecond(vm.before.qemuExits, before.time),
        after: perSecond(vm.after.qemuExits, after.time),
      },
      exits: { before: perSecond(vm.before.kvmExits, before.time), after: perSecond(vm.after.kvmExits, after.time) },
      share: { before: vm.before.share, after: vm.after.share },
      time: { before: timeLost(vm.before, before), after: timeLost(vm.after, after) },
    },
  };
}

type Sides = Readonly<Record<keyof Pair, Side>>;

function reasonDiffs({ before, after }: MatchedVm, sides: Sides): ReasonDiff[] {
  const rows = new Map([...sides.before.reasonsOf(before.vm), ...sides.after.reasonsOf(after.vm)]);
  return Array.from(rows, ([key, { layer, reason }]) => {
    const often = (vm: MatchedVm[keyof MatchedVm], side: Side) =>
      (layer === 'kvm' ? vm.kvmExits : vm.qemuExits) === undefined ? undefined : side.oftenByReason(vm.vm, key);
    return {
      vm: after.vm,
      layer,
      reason,
      often: { before: often(before, sides.before), after: often(after, sides.after) },
      seconds: {
        before: sides.before.secondsPerExit(before.vm, key),
        after: sides.after.secondsPerExit(after.vm, key),
      },
    };
  });
}

function ioDiffs({ before, after }: MatchedVm, sides: Sides): IoDiff[] {
  const rows = new Map([...sides.before.ioOf(before.vm), ...sides.after.ioOf(after.vm)]);
  const often = (vm: string, side: Side, key: string) => (side.showsIo ? side.oftenByAddress(vm, key) : undefined);
  return Array.from(rows, ([key, { count: _, qemuSeconds: __, ...labels }]) => ({
    ...labels,
    vm: after.vm,
    often: { before: often(before.vm, sides.before, key), after: often(after.vm, sides.after, key) },
  }));
}
