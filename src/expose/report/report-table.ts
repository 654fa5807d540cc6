import { auditTable } from './audit-table.js';
import { costTables } from './cost-tables.js';
import { findingsText } from './findings.js';
import { Ranking } from './ranking.js';
import { reasonTable } from './reason-table.js';
import { perSecond, type Recorded } from './recorded.js';
import { problemsOf } from './report.js';
import { statisticsTable } from './statistics-table.js';
import { amount, known, moreRows, percent, rate, textTable, time, vmCell } from './text-table.js';
import { type Figures, sumOfVms, type VmFigures, type VmOrder, vmFigures } from './vm-figures.js';
import { timeLost, worstVm } from './worst-vm.js';

/**
 * The answer first: how many exits there were, what share reached QEMU, and of which VM most. Then the figures of each
 * VM, the reasons, and what they cost:
 *
 *   11.2 s: 6,208 VM exits (554/s), 82.0 % of them went on to QEMU (454/s).
 *   Most exits to QEMU: vm-a, 222/s; 99.9 % of them KVM_EXIT_IO.
 *
 *   VM    vCPU  exits to KVM  per s  exits to QEMU  per s  reaching QEMU  time lost
 *   vm-a  0            3,436    307          2,483    222         72.3 %     41.0 %
 *
 * @param top how many VMs are shown, and how many rows of each in a table
 */
export function reportTable(recorded: Recorded, order: VmOrder, top: number): string {
  const vms = vmFigures(recorded, order);
  const ranking = new Ranking(
    vms.map(({ vm }) => vm),
    top,
  );
  return [
    ...exitTables(recorded, vms, order, ranking, top),
    ...costTables(recorded, ranking),
    ...statisticsTable(recorded, ranking),
    ...auditTable(recorded.audit, ranking),
    ...findingsText(recorded, ranking),
    footer(recorded),
  ].join('\n');
}

/** Rows that a note names one by one. */
const MAX_NAMED = 3;

function exitTables(
  recorded: Recorded,
  vms: readonly VmFigures[],
  order: VmOrder,
  ranking: Ranking,
  top: number,
): string[] {
  const [first] = vms;
  if (first === undefined) return [`No exits in this ${recorded.isLive ? 'time' : 'recording'}.\n`];
  const notes = [undecided(recorded), repeated(recorded), countedByKvm(recorded, vms)];
  const head = [answer(recorded, vms), ...notes, worstVm(order, first, recorded)];
  return [
    `${head.filter((line) => line !== '').join('\n')}\n`,
    vmTable(recorded, vms, top),
    reasonTable(recorded, ranking),
  ];
}

/** A note on exits to QEMU that may be none; '' if there are none of them. */
function undecided({ undecidedExits: exits }: Recorded): string {
  return exits === 0
    ? ''
    : `Up to ${amount(exits)} of the exits to QEMU may be calls of KVM_RUN that failed, which this recording does not distinguish.`;
}

/** A note on rows whose exits other rows may have, too; '' if there are none. */
function repeated({ repeatedRows = [] }: Recorded): string {
  if (repeatedRows.length === 0) return '';
  const rows = repeatedRows.length > MAX_NAMED ? `${repeatedRows.length} rows` : repeatedRows.join(', ');
  return `The exits to QEMU of ${rows} may be among those of other rows: its trace does not show which threads they are of.`;
}

/** A note on VM exits that only KVM itself has counted; '' if there are none. */
function countedByKvm({ snapshot }: Recorded, vms: readonly VmFigures[]): string {
  const traced = new Set([...snapshot.exits].flatMap(({ vm, layer }) => (layer === 'kvm' ? [vm] : [])));
  const isByKvm = vms.some(({ vm, kvmExits }) => kvmExits !== undefined && !traced.has(vm));
  return isByKvm ? 'VM exits are those that KVM counted itself where its trace has no kvm_exit.' : '';
}

/** How long the recording is, and the exits of all VMs. */
export function answer(recorded: Recorded, vms: readonly Figures[]): string {
  const recordedTime = recorded.time;
  const notShown = recorded.isLive ? "is not shown by this host's KVM" : 'is not in this recording';
  const noStatistics = recorded.isLive ? '; its own statistics were not read (the command check says why)' : '';
  const { kvmExits, qemuExits, share } = sumOfVms(vms);
  const length = known(recordedTime.seconds, time, 'Length unknown (no times)');
  const exitRate = (exits: number) => known(perSecond(exits, recordedTime), (each) => ` (${rate(each)}/s)`, '');
  if (kvmExits === undefined)
    return `${length}: ${amount(qemuExits ?? 0)} exits reached QEMU${exitRate(qemuExits ?? 0)}; how many VM exits there were ${notShown} (no kvm_exit)${noStatistics}.`;
  const head = `${length}: ${amount(kvmExits)} VM exits${exitRate(kvmExits)}`;
  if (qemuExits === undefined)
    return `${head}; how many of them reached QEMU ${notShown} (no kvm_userspace_exit, no kvm_run_exit).`;
  if (share === undefined)
    return `${head}; ${amount(qemuExits)} exits of other VMs reached QEMU${exitRate(qemuExits)}; what share that is, ${notShown}.`;
  return `${head}, ${percent(share)} of them went on to QEMU${exitRate(qemuExits)}.`;
}

/** Each VM, its vCPUs if it has several, and all VMs together. */
function vmTable(recorded: Recorded, vms: readonly VmFigures[], top: number): string {
  const cells = (vm: string, vcpu: string, figures: Figures) => [
    vm,
    vcpu,
    known(figures.kvmExits, amount),
    known(perSecond(figures.kvmExits, recorded.time), rate),
    known(figures.qemuExits, amount),
    known(perSecond(figures.qemuExits, recorded.time), rate),
    known(figures.share, percent),
    known(timeLost(figures, recorded), percent),
  ];
  const rows = vms
    .slice(0, top)
    .flatMap(({ vm, byVcpu, ...figures }) => [
      ...(byVcpu.length > 1 ? [cells(vmCell(vm), 'all', figures)] : []),
      ...byVcpu.slice(0, top).map(({ vcpu, ...own }) => cells(vmCell(vm), vcpu, own)),
    ]);
  const all = vms.length > 1 ? [cells('all', 'all', sumOfVms(vms))] : [];
  const count = vms.reduce((sum, { byVcpu }) => sum + byVcpu.length, 0);
  const shown = vms.slice(0, top).reduce((sum, { byVcpu }) => sum + Math.min(top, byVcpu.length), 0);
  const table = textTable(
    ['VM', 'vCPU', 'exits to KVM', 'per s', 'exits to QEMU', 'per s', 'reaching QEMU', 'time lost'],
    [...rows, ...all],
    2,
  );
  return `${table}${moreRows(count - shown)}`;
}

export function footer({ snapshot, isLive }: Recorded): string {
  const { lost, malformed } = problemsOf(snapshot);
  const lines: string[] = [];
  if (lost.events > 0)
    lines.push(
      `Lost: ${amount(lost.events)} events are missing${isLive ? '' : ' in the recording'}; the figures above are too low.`,
    );
  if (lost.unknown_gaps > 0) lines.push(`Lost: ${amount(lost.unknown_gaps)} gaps of unknown size.`);
  for (const [kind, count] of Object.entries(malformed))
    lines.push(`Malformed (${kind}): ${amount(count)} not decoded.`);
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}
