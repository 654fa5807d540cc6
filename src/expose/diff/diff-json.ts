import { escapeInJson } from '../../system/printable.js';
import type { Recorded } from '../report/recorded.js';
import { type RecordingData, type ReportData, reportData } from '../report/report.js';
import { csvOf } from '../report/report-csv.js';
import type { VmOrder } from '../report/vm-figures.js';
import type { Diff, VmFigure } from './diff.js';
import type { FindingDiff } from './finding-diffs.js';
import { type Pair, type PairState, riseOf, stateOf } from './pair.js';

/** Changes whenever a program that reads the JSON would have to change. */
const DIFF_VERSION = 1;

/** Names of the figures of a VM, as in the JSON report. */
const VM_FIGURE_NAMES: Readonly<Record<VmFigure, string>> = {
  qemu: 'qemu_exits_per_second',
  exits: 'kvm_exits_per_second',
  share: 'share_reaching_qemu',
  time: 'time_lost',
};

/** The content of the JSON of `report --diff`; docs/report-diff.schema.json describes it. */
export interface DiffData {
  readonly version: typeof DIFF_VERSION;
  readonly before: SideData;
  readonly after: SideData;
  /** False if a recording has no times: shares are compared instead. */
  readonly has_rates: boolean;
  readonly only_before: readonly string[];
  readonly only_after: readonly string[];
  readonly changes: readonly ChangeData[];
  /** Empty if a recording has no times. */
  readonly findings: readonly FindingDiffData[];
}

interface FindingDiffData {
  readonly vm: string;
  readonly vm_before: string;
  readonly advice: string;
  readonly state: FindingDiff['state'];
  /** In vCPUs; null where there is no such finding, or no duration. */
  readonly cost_before: number | null;
  readonly cost_after: number | null;
}

interface SideData {
  readonly recording: RecordingData;
  readonly total: ReportData['total'];
}

/** A figure in both recordings. Labels that it does not have are ''. */
export interface ChangeData {
  readonly section: 'vms' | 'reasons' | 'io';
  readonly vm: string;
  readonly vm_before: string;
  readonly layer: string;
  readonly reason: string;
  readonly bus: string;
  readonly direction: string;
  readonly address: string;
  readonly device: string;
  readonly figure: string;
  readonly before: number | null;
  readonly after: number | null;
  /** 0.1 for 10 % more; null if it is not known, or if the figure was 0. */
  readonly rise: number | null;
  readonly state: PairState;
}

function diffData(diff: Diff): DiffData {
  return {
    version: DIFF_VERSION,
    before: sideData(diff.before),
    after: sideData(diff.after),
    has_rates: diff.hasRates,
    only_before: diff.onlyBefore,
    only_after: diff.onlyAfter,
    changes: changesOf(diff),
    findings: diff.findings.map(findingData),
  };
}

function findingData({ vm, vmBefore, advice, state, cost }: FindingDiff): FindingDiffData {
  return {
    vm,
    vm_before: vmBefore,
    advice,
    state,
    cost_before: cost.before ?? null,
    cost_after: cost.after ?? null,
  };
}

/** Prints a comparison as JSON, in one line. */
export function diffJson(diff: Diff): string {
  return `${escapeInJson(JSON.stringify(diffData(diff)))}\n`;
}

const FINDING_COLUMNS: readonly (keyof FindingDiffData)[] = [
  'vm',
  'vm_before',
  'advice',
  'state',
  'cost_before',
  'cost_after',
];

/** Prints the changes as CSV, one row for each figure. */
export function diffCsv(diff: Diff): string {
  const changes = changesOf(diff);
  const columns = Object.keys(change('vms', '', '', '', { before: 0, after: 0 })).filter((name) => name !== 'section');
  const sections = ['vms', 'reasons', 'io'];
  const findings = diff.findings.map((row) => ({ ...findingData(row) }));
  return csvOf(
    [
      ...sections.map((name) => ({
        name,
        columns,
        rows: changes.filter(({ section }) => section === name).map((row) => ({ ...row })),
      })),
      { name: 'findings', columns: FINDING_COLUMNS, rows: findings },
    ],
    columns,
  );
}

function sideData(recorded: Recorded): SideData {
  const { recording, total } = reportData(recorded, 'name' satisfies VmOrder);
  return { recording, total };
}

function changesOf({ vms, reasons, io, hasRates }: Diff): ChangeData[] {
  const names = new Map(vms.map(({ vm, vmBefore }) => [vm, vmBefore]));
  const before = (vm: string) => names.get(vm) ?? vm;
  return [
    ...vms.flatMap(({ vm, vmBefore, figures }) =>
      Object.entries(figures).map(([figure, pair]) =>
        change('vms', vm, vmBefore, VM_FIGURE_NAMES[figure as VmFigure], pair),
      ),
    ),
    ...reasons.flatMap(({ vm, layer, reason, often, seconds }) => [
      change('reasons', vm, before(vm), hasRates ? 'exits_per_second' : 'share_of_layer', often, { layer, reason }),
      change('reasons', vm, before(vm), 'seconds_per_exit', seconds, { layer, reason }),
    ]),
    ...io.map(({ vm, often, ...labels }) =>
      change('io', vm, before(vm), hasRates ? 'accesses_per_second' : 'share_of_accesses', often, labels),
    ),
  ];
}

function change(
  section: ChangeData['section'],
  vm: string,
  vmBefore: string,
  figure: string,
  pair: Pair,
  labels: Partial<ChangeData> = {},
): ChangeData {
  const rise = riseOf(pair);
  return {
    section,
    vm,
    vm_before: vmBefore,
    layer: '',
    reason: '',
    bus: '',
    direction: '',
    address: '',
    device: '',
    ...labels,
    figure,
    before: pair.before ?? null,
    after: pair.after ?? null,
    rise: rise === undefined || !Number.isFinite(rise) ? null : rise,
    state: stateOf(pair),
  };
}
