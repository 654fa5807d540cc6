/**
 * Exports snapshots over OTLP (http/protobuf), periodically and once more at the end. The packages take time and memory
 * to load, so this module is imported only if an export is configured.
 *
 * At most one request is in flight and at most one export is waiting, whatever the receiver does.
 */
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import {
  MeterProvider,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { errnoOf } from '../../system/errors.js';
import { log } from '../../system/log.js';
import { ExportLog } from './export-log.js';
import { limitRequests } from './request-deadline.js';
import { type AgentIdentity, resourceOf } from './resource.js';
import { SdkLog } from './sdk-log.js';
import { markAcknowledged, markRefused, SnapshotProducer } from './snapshot-producer.js';

export interface OtlpOptions {
  /** Complete URL of the metrics endpoint, with `/v1/metrics`. */
  readonly url: string;
  readonly intervalMs: number;
  /** For one request with all its retries. */
  readonly timeoutMs: number;
  readonly delta: { readonly sums: boolean; readonly histograms: boolean };
}

export interface OtlpExport {
  /** Takes a last snapshot; later exports send that one. */
  freeze(): void;
  /** Exports for the last time. Resolves to false if that did not finish in time and may still be running. */
  stop(): Promise<boolean>;
}

/** About 2 MB. A collector refuses more than 20 MiB, and between two requests the event loop can do other work. */
const POINTS_PER_REQUEST = 20_000;
const LAST_EXPORT_MS = 1500;

export function startOtlpExport(
  takeSnapshot: () => Snapshot,
  identity: AgentIdentity,
  options: OtlpOptions,
): OtlpExport {
  const { url, intervalMs, delta } = options;
  diag.setLogger(new SdkLog(), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  // The exporter's timeout is shorter than the reader's, because only the exporter knows the reason; both are shorter
  // than the interval.
  const timeoutMillis = Math.max(1, Math.min(options.timeoutMs, intervalMs * 0.9));
  // The exporter itself reads headers, compression and certificates from OTEL_EXPORTER_OTLP_*.
  const exporter = new OTLPMetricExporter({
    url,
    timeoutMillis,
    concurrencyLimit: 1,
    userAgent: `kvm-exit-exporter/${identity.version}`,
  });
  const endLimit = limitRequests(url, timeoutMillis);
  const producer = new SnapshotProducer({ takeSnapshot, version: identity.version, delta });
  const reader = new PeriodicExportingMetricReader({
    exporter: withLog(exporter, new ExportLog(url)),
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(intervalMs, timeoutMillis + 1000),
    metricProducers: [producer],
    maxExportBatchSize: POINTS_PER_REQUEST,
  });
  const provider = new MeterProvider({ resource: resourceOf(identity), readers: [reader] });
  log('info', 'exporting over OTLP', { url, interval_seconds: intervalMs / 1000 });
  return {
    freeze: () => producer.freeze(),
    stop: () => endsWithin(exportRest(), LAST_EXPORT_MS),
  };

  async function exportRest(): Promise<void> {
    // An export that repeats what was not answered does not have what was counted since.
    if (producer.isUnanswered) await provider.forceFlush();
    await provider.shutdown();
    endLimit();
  }
}

/** Wraps the exporter so that results are logged, and points are marked that the receiver has answered. */
function withLog(exporter: OTLPMetricExporter, exportLog: ExportLog): PushMetricExporter {
  return {
    export(metrics: ResourceMetrics, done) {
      exporter.export(metrics, (result) => {
        if (result.code === SUCCESS) {
          for (const scope of metrics.scopeMetrics) markAcknowledged(scope.metrics);
          exportLog.succeeded();
        } else {
          const status = statusOf(result.error);
          if (status !== undefined)
            for (const scope of metrics.scopeMetrics) markRefused(scope.metrics, status === BAD_REQUEST);
          exportLog.failed(reasonOf(result.error));
        }
        // Always success: the failure is in our log, and the reader would log it again on every export.
        done({ code: SUCCESS });
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

/** ExportResultCode.SUCCESS of @opentelemetry/core, which is not a direct dependency. */
const SUCCESS = 0;

/** The receiver cannot use these points (OTLP 1.5, "Bad Data"), for example because it has them already. */
const BAD_REQUEST = 400;

/** HTTP status with which the receiver has refused; undefined if it is not known whether it has the points. */
function statusOf(error: (Error & { readonly code?: unknown }) | undefined): number | undefined {
  return typeof error?.code === 'number' ? error.code : undefined;
}

/**
 * Code and message: an error without a message (no address of a host accepts connections) and an HTTP status both have
 * a code.
 */
function reasonOf(error: Error | undefined): string {
  if (error === undefined) return 'no reason given';
  const code = errnoOf(error);
  return [code, error.message].filter((word) => word !== '').join(' ') || error.name;
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
