/** Alerts about the agent itself: when it is silent, all the others are. */
import { anyOf, series, sumWithout } from '../promql.js';
import type { Thresholds } from '../thresholds.js';
import type { AlertRule } from './rule-files.js';

const AGENT = 'kvm-exit-exporter on {{ $labels.instance }}';
const SOURCE = 'Source {{ $labels.source }} of the agent on {{ $labels.instance }}';

export function exporterAlerts({ rateWindow, exporter }: Thresholds): AlertRule[] {
  const job = { job: anyOf(exporter.job) };
  const lost = sumWithout(['cpu'], `rate(${series('kvm_exit_exporter_lost_events_total')}[${rateWindow}])`);
  const events = `rate(${series('kvm_exit_exporter_events_total')}[${rateWindow}])`;
  const gaps = `increase(${series('kvm_exit_exporter_unknown_gaps_total')}[${exporter.gaps.window}])`;
  return [
    warning('KvmExitExporterDown', `${series('up', job)} == 0`, exporter.down.for, {
      summary: `${AGENT} cannot be scraped`,
      description: `${AGENT} did not answer for ${exporter.down.for}. VM exits of this host are not counted, and none of its other alerts can fire.`,
    }),
    warning('KvmExitExporterAbsent', `absent(${series('up', job)})`, exporter.absent.for, {
      summary: 'No kvm-exit-exporter is scraped at all',
      description: `Prometheus has had no target of a job like ${exporter.job} for ${exporter.absent.for}: nothing counts VM exits.`,
    }),
    warning('KvmExitExporterSourceDown', `${series('kvm_exit_exporter_source_up')} == 0`, exporter.sourceDown.for, {
      summary: `${SOURCE} is down`,
      description: `${SOURCE} is not read for ${exporter.sourceDown.for}; what it would tell is missing from all figures.`,
    }),
    warning(
      'KvmExitExporterEventsLost',
      `${lost}\n/\n(${events} + ${lost}) > ${exporter.lost.above}`,
      exporter.lost.for,
      {
        summary: `The agent on {{ $labels.instance }} loses events of {{ $labels.source }}`,
        description: `{{ $value | humanizePercentage }} of the events of {{ $labels.source }} on {{ $labels.instance }} are overwritten before the agent reads them, for ${exporter.lost.for}. Counts are too low by as much.`,
      },
    ),
    warning('KvmExitExporterUnknownGaps', `${sumWithout(['cpu'], gaps)} > 0`, exporter.gaps.for, {
      summary: `{{ $labels.source }} on {{ $labels.instance }} has gaps of unknown size`,
      description: `{{ $value | humanize }} gaps in {{ $labels.source }} on {{ $labels.instance }} in ${exporter.gaps.window}; how many events are missing cannot be known.`,
    }),
    warning('KvmExitExporterSeriesLimited', limited(exporter.limited.window), exporter.limited.for, {
      summary: 'The agent on {{ $labels.instance }} is at its limit of series',
      description: `{{ $value | humanize }} series on {{ $labels.instance }} got no place of their own in ${exporter.limited.window} and are summed as "other" (limit: {{ $labels.limit }}). Sums are right; details are missing.`,
    }),
    warning(
      'KvmExitExporterMalformedInput',
      `increase(${series('kvm_exit_exporter_malformed_total')}[${exporter.malformed.window}]) > 0`,
      exporter.malformed.for,
      {
        summary: `The agent on {{ $labels.instance }} cannot read parts of {{ $labels.source }}`,
        description: `{{ $value | humanize }} pieces of {{ $labels.source }} on {{ $labels.instance }} could not be decoded in ${exporter.malformed.window} ({{ $labels.kind }}).`,
      },
    ),
  ];
}

/** Refused in the window; or at once, by an agent that began in it. */
function limited(window: string): string {
  const refused = series('kvm_exit_exporter_series_limited_total');
  return `increase(${refused}[${window}]) > 0\nor\n(${refused} > 0 unless ${refused} offset ${window})`;
}

function warning(
  alert: string,
  expr: string,
  pending: string,
  annotations: { readonly summary: string; readonly description: string },
): AlertRule {
  return { alert, expr, for: pending, labels: { severity: 'warning' }, annotations };
}
