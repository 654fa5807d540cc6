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

/** The name of a vCPU thread that stands for its VM, which is not known: `CPU 0/KVM` of `CPU 0/KVM-159`; else ''. */
function threadName(vm: string): string {
  const name = /^(.*)-\d+$/.exec(vm)?.[1] ?? '';
  return /CPU|vcpu|EMT/.test(name) ? name : '';
}

/**
 * Matches VMs by name. If each recording has a single VM they match whatever their names, which are process ids or
 * unknown in a recording without names. Threads that stand for their VM match by their name without the id, if only one
 * thread of each recording has it.
 */
export function matchVms(before: readonly VmFigures[], after: readonly VmFigures[]): MatchedVms {
  const [singleBefore, singleAfter] = [singleVm(before), singleVm(after)];
  const [threadsBefore, threadsAfter] = [threadsByName(before), threadsByName(after)];
  const partnerOf = (vm: VmFigures) => {
    if (singleBefore !== undefined && vm === singleAfter) return singleBefore;
    const namesake = before.find((candidate) => candidate.vm === vm.vm);
    const thread = threadName(vm.vm);
    return namesake ?? (threadsAfter.get(thread) === vm ? threadsBefore.get(thread) : undefined);
  };
  const both = after.flatMap((vm) => {
    const partner = partnerOf(vm);
    return partner === undefined ? [] : [{ before: partner, after: vm }];
  });
  const namesWithout = (vms: readonly VmFigures[], side: keyof MatchedVm) =>
    vms.filter((vm) => !both.some((pair) => pair[side] === vm)).map(({ vm }) => vm);
  return { both, onlyBefore: namesWithout(before, 'before'), onlyAfter: namesWithout(after, 'after') };
}

/** Name of a thread without its id -> the thread; undefined if several threads have the name. */
function threadsByName(vms: readonly VmFigures[]): Map<string, VmFigures | undefined> {
  const threads = new Map<string, VmFigures | undefined>();
  for (const vm of vms) {
    const name = threadName(vm.vm);
    if (name !== '') threads.set(name, threads.has(name) ? undefined : vm);
  }
  return threads;
}

/** The only VM; undefined if there are several. Threads of no known VM count as one only if no VM is known. */
function singleVm(vms: readonly VmFigures[]): VmFigures | undefined {
  const known = vms.filter(({ vm }) => vm !== '');
  const [first, ...more] = known.length > 0 ? known : vms;
  return more.length === 0 ? first : undefined;
}
