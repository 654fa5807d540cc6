import { type FindingData, findingData } from '../../advice/finding-data.js';
import { BUCKET_SECONDS } from '../../count/counters/duration-histogram.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import type { ExitCount } from '../../snapshot/tables/exit-rows.js';
import type { Rows } from '../../snapshot/tables/row-table.js';
import { type RowOf, rowsOf } from '../../snapshot/tables.js';
import { escapeInJson } from '../../system/printable.js';
import { type JsonCheck, jsonCheck } from './audit-table.js';
import { type JsonRow, jsonRows, type ReportTable } from './columns.js';
import { findingsOf } from './findings.js';
import { perSecond, type Recorded } from './recorded.js';
import { knownTimes } from './shown.js';
import { type JsonStatistic, jsonStatistic } from './statistics-table.js';
import { compareText } from './text-table.js';
import { compareNumbers, type Figures, sumOfVms, type VmOrder, vmFigures } from './vm-figures.js';

/** Changes whenever a program that reads the JSON would have to change. */
const REPORT_VERSION = 1;

/** The content of a JSON report; docs/report.schema.json describes it. */
export interface ReportData extends Problems {
  readonly version: typeof REPORT_VERSION;
  readonly recording: RecordingData;
  /** All VMs together. */
  readonly total: FiguresData;
  /** The figures of each VM, the worst one first. */
  readonly totals: readonly ({ readonly vm: string } & FiguresData)[];
  /** What to change, worst first; null for a recording without times. */
  readonly findings: readonly FindingData[] | null;
  readonly exits: readonly JsonRow<'exits'>[];
  readonly vcpu_times: readonly JsonRow<'vcpuTimes'>[];
  readonly io: readonly JsonRow<'io'>[];
  readonly msrs: readonly JsonRow<'msrs'>[];
  readonly cpuid_leaves: readonly JsonRow<'cpuidLeaves'>[];
  readonly hypercalls: readonly JsonRow<'hypercalls'>[];
  readonly nested_exits: readonly JsonRow<'nestedExits'>[];
  readonly ghcb_exits: readonly JsonRow<'ghcbExits'>[];
  readonly page_faults: readonly JsonRow<'pageFaults'>[];
  readonly apicv_inhibits: readonly JsonRow<'apicvInhibits'>[];
  readonly causes: readonly JsonRow<'causes'>[];
  /** Upper edges of the buckets of `durations`. */
  readonly duration_bucket_seconds: readonly number[];
  readonly durations: readonly JsonRow<'durations'>[];
  readonly eventfds: readonly JsonRow<'eventfds'>[];
  /** Sums over all VMs, by name of the event. */
  readonly qemu_events: Readonly<Record<string, number>>;
  readonly qemu_events_by_vm: readonly JsonRow<'qemuEvents'>[];
  readonly unpaired: readonly JsonRow<'unpaired'>[];
  readonly vms: readonly JsonRow<'vms'>[];
  /** Exits to QEMU that may be failed calls of KVM_RUN, at most: the recording does not distinguish them. */
  readonly undecided_qemu_exits: number;
  /** Hits of the whole host, by name of the tracepoint. */
  readonly tracepoints: Readonly<Record<string, number>>;
  readonly kvm_statistics: readonly JsonStatistic[];
  readonly audit: readonly JsonCheck[];
}

export interface RecordingData {
  readonly seconds: number | null;
  readonly start_seconds: number | null;
  readonly end_seconds: number | null;
}

/** {@link Figures} under the names that /api/vms has for them; null where they are not known. */
export interface FiguresData {
  readonly vcpus: number | null;
  readonly kvm_exits: number | null;
  readonly kvm_exits_per_second: number | null;
  readonly qemu_exits: number | null;
  readonly qemu_exits_per_second: number | null;
  readonly share_reaching_qemu: number | null;
  /** Seconds per second: 1 is one whole vCPU. */
  readonly time_outside_guest: number | null;
  readonly time_in_qemu: number | null;
}

/** Events that are missing in the recording, and input that could not be decoded. */
export interface Problems {
  readonly lost: { readonly events: number; readonly unknown_gaps: number };
  /** Kind -> pieces of input. */
  readonly malformed: Readonly<Record<string, number>>;
}

export function reportData(recorded: Recorded, order: VmOrder): ReportData {
  const { snapshot, time, audit } = recorded;
  const vms = vmFigures(recorded, order);
  const rows = <Name extends ReportTable>(name: Name, from: Rows<RowOf<Name>> = rowsOf(snapshot, name)) =>
    jsonRows(name, from);
  return {
    version: REPORT_VERSION,
    recording: {
      seconds: time.seconds ?? null,
      start_seconds: time.startSeconds ?? null,
      end_seconds: time.endSeconds ?? null,
    },
    total: figuresData(sumOfVms(vms), recorded),
    totals: vms.map((figures) => ({ vm: figures.vm, ...figuresData(figures, recorded) })),
    findings: findingsOf(recorded)?.map(findingData) ?? null,
    exits: rows('exits', sortedExits(snapshot.exits)),
    vcpu_times: rows('vcpuTimes', knownTimes(recorded)),
    io: rows('io'),
    msrs: rows('msrs'),
    cpuid_leaves: rows('cpuidLeaves'),
    hypercalls: rows('hypercalls'),
    nested_exits: rows('nestedExits'),
    ghcb_exits: rows('ghcbExits'),
    page_faults: rows('pageFaults'),
    apicv_inhibits: rows('apicvInhibits'),
    causes: rows('causes'),
    duration_bucket_seconds: BUCKET_SECONDS,
    durations: rows('durations'),
    eventfds: rows(
      'eventfds',
      snapshot.eventfds.filter(({ count }) => count > 0),
    ),
    qemu_events: sumsByName(snapshot.qemuEvents.map(({ event, count }) => [event, count])),
    qemu_events_by_vm: rows('qemuEvents'),
    undecided_qemu_exits: recorded.undecidedExits,
    unpaired: rows('unpaired'),
    vms: rows('vms'),
    tracepoints: sumsByName(snapshot.tracepoints.map(({ name, count }) => [name, count])),
    kvm_statistics: (recorded.statistics ?? []).map(jsonStatistic),
    audit: audit.map(jsonCheck),
    ...problemsOf(snapshot),
  };
}

function figuresData(figures: Figures, { time }: Recorded): FiguresData {
  const { vcpus, kvmExits, qemuExits, share, outsideSeconds, inQemuSeconds } = figures;
  return {
    vcpus: vcpus ?? null,
    kvm_exits: kvmExits ?? null,
    kvm_exits_per_second: perSecond(kvmExits, time) ?? null,
    qemu_exits: qemuExits ?? null,
    qemu_exits_per_second: perSecond(qemuExits, time) ?? null,
    share_reaching_qemu: share ?? null,
    time_outside_guest: perSecond(outsideSeconds, time) ?? null,
    time_in_qemu: perSecond(inQemuSeconds, time) ?? null,
  };
}

export function problemsOf({ sources }: Snapshot): Problems {
  const lost = sources.flatMap((source) => source.lost);
  return {
    lost: {
      events: lost.reduce((sum, { events }) => sum + events, 0),
      unknown_gaps: lost.reduce((sum, { unknownGaps }) => sum + unknownGaps, 0),
    },
    malformed: sumsByName(sources.flatMap(({ malformed }) => malformed.map(({ kind, count }) => [kind, count]))),
  };
}

/** Prints a report as JSON, in one line. */
export function reportJson(recorded: Recorded, order: VmOrder): string {
  return `${escapeInJson(JSON.stringify(reportData(recorded, order)))}\n`;
}

/** The exits in the order of their labels: VM, vCPU, layer, reason. */
function sortedExits(exits: Rows<ExitCount>): ExitCount[] {
  return [...exits].sort(
    (a, b) =>
      compareText(a.vm, b.vm) ||
      compareNumbers(a.vcpu, b.vcpu) ||
      compareText(a.layer, b.layer) ||
      compareText(a.reason, b.reason),
  );
}

function sumsByName(counts: readonly (readonly [name: string, count: number])[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const [name, count] of counts) sums.set(name, (sums.get(name) ?? 0) + count);
  return Object.fromEntries([...sums].sort(([a], [b]) => compareText(a, b)));
}
