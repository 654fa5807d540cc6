/**
 * Exports snapshots over OTLP (http/protobuf), periodically and once more at the end. The packages take time and memory
 * to load, so this module is imported only if an export is configured.
 */
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import type { MetricData } from '@opentelemetry/sdk-metrics';
import { errnoOf } from '../../system/errors.js';
import { log } from '../../system/log.js';
import { agentMetrics } from './agent-metrics.js';
import { ExportCounts } from './export-counts.js';
import { ExportLog } from './export-log.js';
import { type BatchResult, ExportLoop } from './export-loop.js';
import { watchRequests } from './request-watch.js';
import { type AgentIdentity, resourceOf } from './resource.js';
import { SdkLog } from './sdk-log.js';
import {
  type MetricNames,
  markAcknowledged,
  markRefused,
  SnapshotProducer,
  type SnapshotTaker,
} from './snapshot-producer.js';

export interface OtlpOptions {
  /** Complete URL of the metrics endpoint, with `/v1/metrics`. */
  readonly url: string;
  readonly intervalMs: number;
  /** For one request with all its retries. */
  readonly timeoutMs: number;
  readonly delta: { readonly sums: boolean; readonly histograms: boolean };
  /** Default: opentelemetry. */
  readonly names?: MetricNames;
  /** Send histograms with exponential buckets; default: false. */
  readonly exponential?: boolean;
  /** Include the metrics of the agent's own process; default: true. */
  readonly process?: boolean;
}

export interface OtlpExport {
  /** Takes a last snapshot; later exports send that one. */
  freeze(): void;
  /** Exports for the last time. Resolves to false if that did not finish in time and may still be running. */
  stop(): Promise<boolean>;
}

const LAST_EXPORT_MS = 1500;

/** @param counts counts the exports */
export function startOtlpExport(
  snapshots: SnapshotTaker,
  identity: AgentIdentity,
  options: OtlpOptions,
  counts: ExportCounts = new ExportCounts(),
): OtlpExport {
  const { url, intervalMs, delta, names, exponential } = options;
  diag.setLogger(new SdkLog(), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const timeoutMillis = Math.max(1, Math.min(options.timeoutMs, intervalMs * 0.9));
  // The exporter itself reads headers, compression and certificates from OTEL_EXPORTER_OTLP_*.
  const exporter = new OTLPMetricExporter({
    url,
    timeoutMillis,
    concurrencyLimit: 1,
    userAgent: `kvm-exit-exporter/${identity.version}`,
  });
  const more = agentMetrics(identity.version, options.process ?? true);
  const producer = new SnapshotProducer({ snapshots, more, delta, names, exponential });
  const sender = new Sender(exporter, identity, new ExportLog(url));
  const endWatch = watchRequests(url, timeoutMillis, (status) => {
    counts.requested(status);
    sender.status = status;
  });
  const loop = new ExportLoop({ producer, send: (batch) => sender.send(batch), intervalMs, counts });
  log('info', 'exporting over OTLP', { url, interval_seconds: intervalMs / 1000 });
  return {
    freeze: () => producer.freeze(),
    stop: () => endsWithin(exportRest(), LAST_EXPORT_MS),
  };

  async function exportRest(): Promise<void> {
    await loop.stop();
    await exporter.shutdown();
    endWatch();
  }
}

/** Sends batches, logs the failures, and marks the points that the receiver has answered. */
class Sender {
  /** Status of the latest request. */
  status = '';
  readonly #exporter: OTLPMetricExporter;
  readonly #resource: ReturnType<typeof resourceOf>;
  readonly #scope: { readonly name: string; readonly version: string };
  readonly #log: ExportLog;

  constructor(exporter: OTLPMetricExporter, identity: AgentIdentity, exportLog: ExportLog) {
    this.#exporter = exporter;
    this.#resource = resourceOf(identity);
    this.#scope = { name: 'kvm-exit-exporter', version: identity.version };
    this.#log = exportLog;
  }

  async send(batch: readonly MetricData[]): Promise<BatchResult> {
    await this.#resource.waitForAsyncAttributes?.();
    this.status = '';
    const scopeMetrics = [{ scope: this.#scope, metrics: [...batch] }];
    const { code, error } = await new Promise<ExportResult>((resolve) => {
      this.#exporter.export({ resource: this.#resource, scopeMetrics }, resolve);
    });
    if (code === SUCCESS) {
      markAcknowledged(batch);
      this.#log.succeeded();
      return 'accepted';
    }
    const status = statusOf(error);
    if (status !== undefined) markRefused(batch, status === BAD_REQUEST);
    this.#log.failed(this.#reasonOf(error));
    return status !== undefined && ONLY_THIS_BATCH.has(status) ? 'refused' : 'failed';
  }

  /**
   * Status, code and message. An error without a message (no address of a host accepts connections) has a code; one
   * after retries (429, 503 ...) has only the status of the latest answer.
   */
  #reasonOf(error: Error | undefined): string {
    const status = /^\d+$/.test(this.status) ? `HTTP ${this.status}` : '';
    const code = error === undefined ? '' : errnoOf(error);
    const words = [status, code === this.status ? '' : code, error?.message ?? ''];
    return words.filter((word) => word !== '' && word !== 'undefined').join(' ') || error?.name || 'no reason given';
  }
}

type ExportResult = Parameters<Parameters<OTLPMetricExporter['export']>[1]>[0];

/** ExportResultCode.SUCCESS of @opentelemetry/core, which is not a direct dependency. */
const SUCCESS = 0;

/** The receiver cannot use these points (OTLP 1.5, "Bad Data"), for example because it has them already. */
const BAD_REQUEST = 400;
/** Refusals of one batch (bad data, too large), not of all: the wrong address, no right to write, too much load. */
const ONLY_THIS_BATCH: ReadonlySet<number> = new Set([BAD_REQUEST, 413, 422]);

/** HTTP status with which the receiver has refused; undefined if it is not known whether it has the points. */
function statusOf(error: (Error & { readonly code?: unknown }) | undefined): number | undefined {
  return typeof error?.code === 'number' ? error.code : undefined;
}

async function endsWithin(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
