import type { AuditOutcome } from '../audit/live-audit.js';
import type { MalformedKind } from '../trace/sink.js';
import type { NamedCount } from './tables/named-counts.js';
import type { TableRows } from './tables.js';

/**
 * Everything that is known at one moment. Immutable: every view (Prometheus, OTLP, report) is a function of snapshots.
 */
export interface Snapshot extends TableRows {
  readonly tracepoints: readonly NamedCount[];
  readonly sources: readonly SourceState[];
  /** Exits of vCPU threads that belong to no known VM, both layers together. */
  readonly unattributedEvents: number;
  /** The number of checks of the audit, of all VMs, by what became of them; none without an audit. */
  readonly auditChecks: readonly { readonly outcome: AuditOutcome; readonly checks: number }[];
  /** Part of the time in which all events were counted, in the latest period; absent if that is always. */
  readonly sampledFraction?: number;
  /** Series in use, once a {@link SeriesLimiter} has limited them. */
  readonly series?: SeriesUse;
  /** The export over OTLP, if there is one. */
  readonly otlp?: ExportUse;
}

/**
 * Takes a snapshot.
 * @param isExported false if no monitoring system gets the figures: what a series has counted that ends before the next
 *   export is then in the `other` row of that export. Default: true
 */
export type TakeSnapshot = (isExported?: boolean) => Snapshot;

export interface SourceState {
  readonly source: string;
  readonly up: boolean;
  readonly events: number;
  readonly drains: number;
  readonly drainSeconds: number;
  /**
   * Losses by host CPU, '' if the loss is not of one CPU. `unknownGaps` are gaps of which the kernel does not report
   * the size.
   */
  readonly lost: readonly { readonly cpu: string; readonly events: number; readonly unknownGaps: number }[];
  readonly malformed: readonly { readonly kind: MalformedKind; readonly count: number }[];
}

export interface SeriesUse {
  /** Series of the catalogue's metrics. */
  readonly count: number;
  /** Series that were merged into `other`, by the limit that they exceeded. */
  readonly limited: { readonly series: number; readonly series_per_vm: number };
}

/** What was exported over OTLP so far. */
export interface ExportUse {
  /** Exports that have ended. At least one request of an incomplete one was not accepted, or not sent. */
  readonly exports: { readonly complete: number; readonly incomplete: number };
  /** Time that these took. */
  readonly seconds: number;
  /** Series in the latest export. */
  readonly series: number;
  /** Requests, by HTTP status or `timeout` or `unreachable`. */
  readonly requests: readonly { readonly status: string; readonly count: number }[];
}
