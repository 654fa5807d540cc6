import type { FindingData } from '../../advice/finding-data.js';
/**
 * A report as one CSV table (RFC 4180). Its first column names the section that a row belongs to. A row is empty in the
 * columns of other sections, and where a figure is not known.
 *
 *   section,vm,vcpu,layer,reason,count,seconds, ...
 *   recording,,,,,,215.4, ...
 *   exits,web-1,0,kvm,io,37096,, ...
 */

import type { Changes } from '../../advice/rules/rule.js';
import { CHANGERS } from '../../advice/who-changes.js';
import { printable } from '../../system/printable.js';
import { CHECK_COLUMNS } from './audit-table.js';
import { columnsOf, type ReportTable } from './columns.js';
import type { Recorded } from './recorded.js';
import { type ReportData, reportData } from './report.js';
import { STATISTIC_COLUMNS } from './statistics-table.js';
import type { VmOrder } from './vm-figures.js';

/** Text is a label, a number a figure, null a figure that is not known. */
type Row = Readonly<Record<string, unknown>>;

interface Section {
  readonly name: string;
  /** The same for every report. */
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

export function reportCsv(recorded: Recorded, order: VmOrder): string {
  return csvOf(sectionsOf(reportData(recorded, order)));
}

function sectionsOf(data: ReportData): Section[] {
  const table = (name: string, of: ReportTable, rows: readonly Row[]): Section => ({
    name,
    columns: columnsOf(of).flatMap(([, column]) => (column === 'buckets' ? [] : [column])),
    rows,
  });
  return [
    { name: 'recording', columns: Object.keys(data.recording), rows: [{ ...data.recording }] },
    { name: 'total', columns: Object.keys(data.total), rows: [{ ...data.total }] },
    { name: 'totals', columns: ['vm', ...Object.keys(data.total)], rows: data.totals.map((row) => ({ ...row })) },
    { name: 'findings', columns: FINDING_COLUMNS, rows: (data.findings ?? []).map(findingRow) },
    table('exits', 'exits', data.exits),
    table('vcpu_times', 'vcpuTimes', data.vcpu_times),
    table('io', 'io', data.io),
    table('msrs', 'msrs', data.msrs),
    table('cpuid_leaves', 'cpuidLeaves', data.cpuid_leaves),
    table('hypercalls', 'hypercalls', data.hypercalls),
    table('nested_exits', 'nestedExits', data.nested_exits),
    table('ghcb_exits', 'ghcbExits', data.ghcb_exits),
    table('page_faults', 'pageFaults', data.page_faults),
    table('apicv_inhibits', 'apicvInhibits', data.apicv_inhibits),
    table('causes', 'causes', data.causes),
    table('durations', 'durations', data.durations),
    { name: 'duration_buckets', columns: ['vm', 'layer', 'reason', 'le_seconds', 'count'], rows: bucketRows(data) },
    table('eventfds', 'eventfds', data.eventfds),
    table('qemu_events_by_vm', 'qemuEvents', data.qemu_events_by_vm),
    { name: 'undecided_qemu_exits', columns: ['count'], rows: [{ count: data.undecided_qemu_exits }] },
    table('unpaired', 'unpaired', data.unpaired),
    table('vms', 'vms', data.vms),
    { name: 'tracepoints', columns: ['tracepoint', 'count'], rows: countRows('tracepoint', data.tracepoints) },
    { name: 'kvm_statistics', columns: STATISTIC_COLUMNS, rows: data.kvm_statistics.map((row) => ({ ...row })) },
    { name: 'audit', columns: CHECK_COLUMNS, rows: data.audit.map((row) => ({ ...row })) },
    { name: 'lost', columns: ['events', 'unknown_gaps'], rows: [{ ...data.lost }] },
    { name: 'malformed', columns: ['kind', 'count'], rows: countRows('kind', data.malformed) },
  ];
}

const FINDING_COLUMNS: readonly string[] = [
  'vm',
  'advice',
  'severity',
  'confidence',
  'title',
  'per_second',
  'mainly',
  'cost',
  'is_boot',
  'cause',
  ...CHANGERS.map(changeColumn),
] satisfies (keyof FindingData | `change_${keyof Changes}`)[];

function findingRow({ changes, ...row }: FindingData): Row {
  const texts = CHANGERS.map((who) => [changeColumn(who), changes[who] ?? null]);
  return { ...row, ...Object.fromEntries(texts) };
}

function changeColumn(who: keyof Changes): `change_${keyof Changes}` {
  return `change_${who}`;
}

/** One row for each bucket: the number of durations below its upper edge. */
function bucketRows({ durations, duration_bucket_seconds: edges }: ReportData): Row[] {
  return durations.flatMap(({ vm, layer, reason, buckets }) =>
    edges.map((edge, index) => ({ vm, layer, reason, le_seconds: edge, count: buckets[index] ?? null })),
  );
}

function countRows(label: string, counts: Readonly<Record<string, number>>): Row[] {
  return Object.entries(counts).map(([name, count]) => ({ [label]: name, count }));
}

/** The columns that most sections have. */
const FIRST_COLUMNS = ['vm', 'vcpu', 'layer', 'reason', 'count'];

/** @param first the columns to begin with */
export function csvOf(sections: readonly Section[], first: readonly string[] = FIRST_COLUMNS): string {
  const columns = [...new Set([...first, ...sections.flatMap((section) => section.columns)])];
  const lines = sections.flatMap(({ name, columns: own, rows }) =>
    rows.map((row) => [name, ...columns.map((column) => (own.includes(column) ? csvField(row[column] ?? '') : ''))]),
  );
  return [['section', ...columns], ...lines].map((line) => `${line.join(',')}\n`).join('');
}

/** Characters with which a spreadsheet recognises a formula; the wide ones count in some languages. */
const FORMULA = /^[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]/;

/**
 * A label may be chosen by a tenant, so it is cleaned of what acts on a terminal. If a spreadsheet would run it as a
 * formula, an apostrophe marks it as text. Figures are numbers, which may begin with a minus sign.
 */
function csvField(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const text = printable(String(value));
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",;]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
