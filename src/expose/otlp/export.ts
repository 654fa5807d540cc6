/**
 * Export over OTLP (http/protobuf), from time to time and once more at the end. Loaded only where it is asked for: the packages take
 * time and memory.
 *
 * Whatever the receiver does, one export at a time is under way, and what waits is not more than one export's bytes.
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
import { log } from '../../system/log.js';
import { ExportReports, SdkMessages } from './export-reports.js';
import { markArrived, SnapshotProducer } from './producer.js';
import { type Origin, resourceOf } from './resource.js';

export interface OtlpOptions {
  /** Where metrics go to, `/v1/metrics` and all. */
  readonly url: string;
  readonly intervalMs: number;
  /** For one request, all tries together. */
  readonly timeoutMs: number;
  readonly delta: { readonly sums: boolean; readonly histograms: boolean };
}

export interface OtlpExport {
  /** What is exported from now on is what is known now. */
  freeze(): void;
  /** The last export. False where it did not end in time; something of it may still be under way then. */
  stop(): Promise<boolean>;
}

/** Points of one request: some 2 MB. A collector refuses 20 MiB, and between two requests others get the event loop. */
const POINTS_PER_REQUEST = 20_000;
const LAST_EXPORT_MS = 5000;

export function startOtlp(takeSnapshot: () => Snapshot, origin: Origin, options: OtlpOptions): OtlpExport {
  const { url, intervalMs, delta } = options;
  diag.setLogger(new SdkMessages(), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  // The exporter gives up before the reader does, because it knows the reason; and both before the next export.
  const timeoutMillis = Math.max(1, Math.min(options.timeoutMs, intervalMs * 0.9));
  // Headers, compression and certificates it reads from OTEL_EXPORTER_OTLP_* itself.
  const exporter = new OTLPMetricExporter({ url, timeoutMillis, concurrencyLimit: 1 });
  const producer = new SnapshotProducer({ takeSnapshot, version: origin.version, delta });
  const reader = new PeriodicExportingMetricReader({
    exporter: reporting(exporter, new ExportReports(url)),
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(intervalMs, timeoutMillis + 1000),
    metricProducers: [producer],
    maxExportBatchSize: POINTS_PER_REQUEST,
  });
  const provider = new MeterProvider({ resource: resourceOf(origin), readers: [reader] });
  log('info', 'exporting over OTLP', { url, interval_seconds: intervalMs / 1000 });
  return {
    freeze: () => producer.freeze(),
    stop: () => endsWithin(provider.shutdown(), LAST_EXPORT_MS),
  };
}

/** The exporter, with an eye on what becomes of its exports. */
function reporting(exporter: OTLPMetricExporter, reports: ExportReports): PushMetricExporter {
  return {
    export(metrics: ResourceMetrics, done) {
      exporter.export(metrics, (result) => {
        if (result.code === SUCCESS) {
          for (const scope of metrics.scopeMetrics) markArrived(scope.metrics);
          reports.arrived();
        } else reports.failed(reasonOf(result.error));
        // It has been said: the reader would say it again each time.
        done({ code: SUCCESS });
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

/** ExportResultCode.SUCCESS of @opentelemetry/core, which is not a dependency of ours. */
const SUCCESS = 0;

/** A connection refused on all addresses of a name comes without a message; a refusal by the receiver has the status in its code. */
function reasonOf(error: Error | undefined): string {
  if (error === undefined) return 'no reason given';
  const code = 'code' in error ? String(error.code) : '';
  return [code, error.message].filter((word) => word !== '').join(' ') || error.name;
}

async function endsWithin(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
