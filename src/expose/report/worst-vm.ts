import { isFailedCall } from '../../snapshot/tables/layer.js';
import { printable } from '../../system/printable.js';
import { reasonCounts } from './reason-table.js';
import { perSecond, type Recorded } from './recorded.js';
import { amount, percent, rate, vmCell } from './text-table.js';
import type { Figures, VmFigures, VmOrder } from './vm-figures.js';

/** A sentence about the worst VM and its main reason; '' if the figure is not known. */
export function worstVm(order: VmOrder, vm: VmFigures, recorded: Recorded): string {
  const [what, figure, reason] = PARTS[order](vm, recorded);
  return figure === undefined ? '' : printable(`${what}: ${vmCell(vm.vm)}, ${figure}${reason}.`);
}

type Parts = readonly [what: string, figure: string | undefined, reason: string];

const PARTS: Readonly<Record<VmOrder, (vm: VmFigures, recorded: Recorded) => Parts>> = {
  qemu: ({ vm, qemuExits }, recorded) => [
    'Most exits to QEMU',
    howOften(qemuExits, recorded),
    mainReason(recorded, vm, 'qemu'),
  ],
  time: (figures, recorded) => {
    const part = timeLost(figures, recorded);
    const text = part === undefined ? undefined : `${percent(part)} of its vCPUs' time`;
    return ['Most time lost', text, costliestReason(recorded, figures.vm)];
  },
  share: ({ vm, share }, recorded) => [
    'Largest share reaching QEMU',
    share === undefined ? undefined : percent(share),
    mainReason(recorded, vm, 'qemu'),
  ],
  exits: ({ vm, kvmExits }, recorded) => ['Most exits', howOften(kvmExits, recorded), mainReason(recorded, vm, 'kvm')],
  name: () => ['', undefined, ''],
};

/** Part of the vCPUs' time that was lost to exits; undefined if it is not known. */
export function timeLost({ timedVcpus, outsideSeconds }: Figures, { time }: Recorded): number | undefined {
  const lost = perSecond(outsideSeconds, time);
  return lost === undefined || timedVcpus === undefined ? undefined : lost / timedVcpus;
}

function howOften(exits: number | undefined, { time }: Recorded): string | undefined {
  if (exits === 0) return undefined;
  const each = perSecond(exits, time);
  if (each !== undefined) return `${rate(each)}/s`;
  return exits === undefined ? undefined : amount(exits);
}

function mainReason(recorded: Recorded, vm: string, layer: string): string {
  const rows = reasonCounts(recorded)
    .filter((row) => row.vm === vm && row.layer === layer && !isFailedCall(row.reason))
    .sort((a, b) => b.count - a.count);
  const all = rows.reduce((sum, { count }) => sum + count, 0);
  const [first] = rows;
  return first === undefined ? '' : `; ${percent(first.count / all)} of them ${first.reason}`;
}

function costliestReason({ snapshot }: Recorded, vm: string): string {
  const [first] = [...snapshot.durations].filter((row) => row.vm === vm).sort((a, b) => b.sumSeconds - a.sumSeconds);
  return first === undefined ? '' : `; most of it by ${first.reason} (layer ${first.layer})`;
}
