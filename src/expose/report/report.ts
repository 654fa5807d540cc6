import type { Snapshot } from '../../snapshot/snapshot.js';
import type { ExitCount } from '../../snapshot/tables/exit-rows.js';
import type { Rows } from '../../snapshot/tables/row-table.js';
import { type RowOf, rowsOf, TABLE_NAMES, type TableName } from '../../snapshot/tables.js';
import { costTables } from './cost-tables.js';
import { amount, compareText, percent, textTable, vmCell } from './text-table.js';

type RowLists = { readonly [Name in TableName]: readonly RowOf<Name>[] };

/** The content of a JSON report: the rows of every table, and sums over all VMs and sources. */
export interface ReportData extends RowLists, Problems {
  readonly tracepoints: Record<string, number>;
  readonly qemu_events: Record<string, number>;
}

/** Events that are missing in the recording, and input that could not be decoded. */
interface Problems {
  readonly lost: { readonly events: number; readonly unknown_gaps: number };
  /** Kind -> pieces of input. */
  readonly malformed: Record<string, number>;
}

function reportData(snapshot: Snapshot): ReportData {
  // TypeScript cannot follow the name of a table through Object.fromEntries().
  const rows = Object.fromEntries(
    TABLE_NAMES.map((name) => [name, [...rowsOf(snapshot, name)]]),
  ) as unknown as RowLists;
  return {
    ...rows,
    exits: sortedExits(snapshot.exits),
    eventfds: rows.eventfds.filter(({ count }) => count > 0),
    tracepoints: sumsByName(snapshot.tracepoints.map(({ name, count }) => [name, count])),
    qemu_events: sumsByName(snapshot.qemuEvents.map(({ event, count }) => [event, count])),
    ...problemsOf(snapshot),
  };
}

function problemsOf({ sources }: Snapshot): Problems {
  const lost = sources.flatMap((source) => source.lost);
  return {
    lost: {
      events: lost.reduce((sum, { events }) => sum + events, 0),
      unknown_gaps: lost.reduce((sum, { unknownGaps }) => sum + unknownGaps, 0),
    },
    malformed: sumsByName(sources.flatMap(({ malformed }) => malformed.map(({ kind, count }) => [kind, count]))),
  };
}

/** Prints a snapshot as JSON, in one line. */
export function reportJson(snapshot: Snapshot): string {
  return `${JSON.stringify(reportData(snapshot))}\n`;
}

/** Prints the exits of a snapshot as CSV. */
export function reportCsv({ exits }: Snapshot): string {
  const rows = sortedExits(exits).map(({ vm, vcpu, layer, reason, count }) => [vm, vcpu, layer, reason, String(count)]);
  return [['vm', 'vcpu', 'layer', 'reason', 'count'], ...rows]
    .map((row) => `${row.map(csvField).join(',')}\n`)
    .join('');
}

/** RFC 4180. */
function csvField(value: string): string {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

/**
 * The answer first - how many exits there were in each layer and what share reached QEMU - then why, by VM and reason:
 *
 *   82.0 % of 6,208 VM exits went on to QEMU.
 *
 *   VM    vCPU  exits to KVM  exits to QEMU  reaching QEMU
 *   vm-a  0            3,436          2,483         72.3 %
 */
export function reportTable(snapshot: Snapshot): string {
  const exits = sortedExits(snapshot.exits);
  if (exits.length === 0) return `No exits in this recording.\n${footer(snapshot)}`;
  const byVcpu = sumBy(exits, ({ vm, vcpu }) => [vmCell(vm), vcpu]);
  const byVm = sumBy(exits, ({ vm }) => [vmCell(vm)]);
  const all = byVm.length > 1 ? sumBy(exits, () => ['all']) : [];
  const totals = [...(byVcpu.length > byVm.length ? byVm : []), ...all];
  const cells = ({ key, kvm, qemu }: LayerSums) => [...key, amount(kvm), amount(qemu), shareCell(kvm, qemu)];
  return [
    `${answer(snapshot)}\n`,
    textTable(
      ['VM', 'vCPU', 'exits to KVM', 'exits to QEMU', 'reaching QEMU'],
      [...byVcpu.map(cells), ...totals.map((sums) => cells({ ...sums, key: [...sums.key, 'all'] }))],
      2,
    ),
    textTable(['VM', 'layer', 'reason', 'exits', 'share of layer'], reasonRows(exits), 3),
    ...costTables(snapshot),
    footer(snapshot),
  ].join('\n');
}

function answer({ exits }: Snapshot): string {
  const [all = { kvm: 0, qemu: 0 }] = sumBy(exits, () => []);
  if (all.kvm === 0)
    return `${amount(all.qemu)} exits reached QEMU; how many VM exits there were is not in this recording (no kvm_exit).`;
  if (all.qemu === 0)
    return `${amount(all.kvm)} VM exits; how many of them reached QEMU is not in this recording (no kvm_userspace_exit, no kvm_run_exit).`;
  return `${shareCell(all.kvm, all.qemu)} of ${amount(all.kvm)} VM exits went on to QEMU.`;
}

/** Rows by VM and layer, the most frequent reason first. */
function reasonRows(exits: readonly ExitCount[]): string[][] {
  const layers = new Map(
    sumBy(exits, ({ vm, layer }) => [vm, layer]).map(({ key, kvm, qemu }) => [key.join('\0'), kvm + qemu]),
  );
  return sumBy(exits, ({ vm, layer, reason }) => [vm, layer, reason])
    .map(({ key: [vm = '', layer = '', reason = ''], kvm, qemu }) => ({ vm, layer, reason, count: kvm + qemu }))
    .sort((a, b) => compareText(a.vm, b.vm) || compareText(a.layer, b.layer) || b.count - a.count)
    .map(({ vm, layer, reason, count }) => {
      const ofLayer = layers.get([vm, layer].join('\0')) ?? 0;
      return [vmCell(vm), layer, reason, amount(count), percent(count / ofLayer)];
    });
}

/** Exits by layer of all rows with the same key. */
interface LayerSums {
  readonly key: readonly string[];
  kvm: number;
  qemu: number;
}

function sumBy(exits: Iterable<ExitCount>, keyOf: (exit: ExitCount) => string[]): LayerSums[] {
  const groups = new Map<string, LayerSums>();
  for (const exit of exits) {
    const key = keyOf(exit);
    const sums = groups.get(key.join('\0')) ?? { key, kvm: 0, qemu: 0 };
    sums[exit.layer] += exit.count;
    groups.set(key.join('\0'), sums);
  }
  return [...groups.values()];
}

/** `-` for a recording without kvm_exit, in which there is nothing to take a share of. */
function shareCell(kvm: number, qemu: number): string {
  return kvm === 0 ? '-' : percent(qemu / kvm);
}

function footer(snapshot: Snapshot): string {
  const { lost, malformed } = problemsOf(snapshot);
  const lines: string[] = [];
  if (lost.events > 0)
    lines.push(`Lost: ${amount(lost.events)} events are missing in the recording; the figures above are too low.`);
  if (lost.unknown_gaps > 0) lines.push(`Lost: ${amount(lost.unknown_gaps)} gaps of unknown size.`);
  for (const [kind, count] of Object.entries(malformed))
    lines.push(`Malformed (${kind}): ${amount(count)} not decoded.`);
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}

function sortedExits(exits: Rows<ExitCount>): ExitCount[] {
  return [...exits].sort(
    (a, b) =>
      compareText(a.vm, b.vm) ||
      a.vcpu.localeCompare(b.vcpu, 'en', { numeric: true }) ||
      compareText(a.layer, b.layer) ||
      compareText(a.reason, b.reason),
  );
}

function sumsByName(counts: readonly (readonly [name: string, count: number])[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const [name, count] of counts) sums.set(name, (sums.get(name) ?? 0) + count);
  return Object.fromEntries([...sums].sort(([a], [b]) => compareText(a, b)));
}
