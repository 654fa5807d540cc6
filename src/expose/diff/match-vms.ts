import type { VmFigures } from '../report/vm-figures.js';

/** A VM in both recordings. */
export interface MatchedVm {
  readonly before: VmFigures;
  readonly after: VmFigures;
}

export interface MatchedVms {
  readonly both: readonly MatchedVm[];
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
}

/**
 * Matches VMs by name. If each recording has a single VM they match whatever their names, which are process ids or
 * unknown in a recording without names.
 */
export function matchVms(before: readonly VmFigures[], after: readonly VmFigures[]): MatchedVms {
  const [singleBefore, singleAfter] = [singleVm(before), singleVm(after)];
  const partnerOf = (vm: VmFigures) =>
    singleBefore !== undefined && vm === singleAfter
      ? singleBefore
      : before.find((candidate) => candidate.vm === vm.vm);
  const both = after.flatMap((vm) => {
    const partner = partnerOf(vm);
    return partner === undefined ? [] : [{ before: partner, after: vm }];
  });
  const namesWithout = (vms: readonly VmFigures[], side: keyof MatchedVm) =>
    vms.filter((vm) => !both.some((pair) => pair[side] === vm)).map(({ vm }) => vm);
  return { both, onlyBefore: namesWithout(before, 'before'), onlyAfter: namesWithout(after, 'after') };
}

/** The only VM; undefined if there are several. Threads of no known VM count as one only if no VM is known. */
function singleVm(vms: readonly VmFigures[]): VmFigures | undefined {
  const known = vms.filter(({ vm }) => vm !== '');
  const [first, ...more] = known.length > 0 ? known : vms;
  return more.length === 0 ? first : undefined;
}
