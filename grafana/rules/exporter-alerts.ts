/** Alerts about the agent itself. Without a working agent none of the alerts about VMs can fire. */
import { anyOf, series, sumWithout } from '../promql.js';
import { MISSED_FOR, silentAgents } from '../silent-agents.js';
import type { Thresholds } from '../thresholds.js';
import type { AlertRule } from './rule-files.js';

const AGENT = 'kvm-exit-exporter on {{ $labels.instance }}';
const SOURCE = 'Source {{ $labels.source }} of the agent on {{ $labels.instance }}';

export function exporterAlerts({ rateWindow, exporter }: Thresholds): AlertRule[] {
  const job = { job: anyOf(exporter.job) };
  const lost = sumWithout(['cpu'], `rate(${series('kvm_exit_exporter_lost_events_total')}[${rateWindow}])`);
  const events = `rate(${series('kvm_exit_exporter_events_total')}[${rateWindow}])`;
  const gaps = `increase(${series('kvm_exit_exporter_unknown_gaps_total')}[${exporter.gaps.window}])`;
  const silent = silentAgents(job, {}, (selector) => `last_over_time(${selector}[${MISSED_FOR}])`);
  return [
    warning('KvmExitExporterDown', silent, exporter.down.for, {
      summary: `${AGENT} does not answer`,
      description:
        `${AGENT} has not answered scrapes, or has sent nothing over OTLP, for ${exporter.down.for}. ` +
        'VM exits of this host are not counted, and none of its other alerts can fire.',
    }),
    warning(
      'KvmExitExporterAbsent',
      `absent(${series('up', job)})\nand\nabsent(${series('kvm_exit_exporter_build_info')})`,
      exporter.absent.for,
      {
        summary: 'There is no kvm-exit-exporter at all',
        description:
          `For ${exporter.absent.for} Prometheus has had no target with a job like ${exporter.job}, and no agent that ` +
          'sends over OTLP. No VM exits are counted.',
      },
    ),
    warning('KvmExitExporterSourceDown', `${series('kvm_exit_exporter_source_up')} == 0`, exporter.sourceDown.for, {
      summary: `${SOURCE} is down`,
      description: `${SOURCE} has not been read for ${exporter.sourceDown.for}. Its events are missing from all figures.`,
    }),
    warning(
      'KvmExitExporterEventsLost',
      `${lost}\n/\n(${events} + ${lost}) > ${exporter.lost.above}`,
      exporter.lost.for,
      {
        summary: 'The agent on {{ $labels.instance }} loses events of {{ $labels.source }}',
        description:
          '{{ $value | humanizePercentage }} of the events of {{ $labels.source }} on {{ $labels.instance }} have been ' +
          `overwritten before the agent read them, for ${exporter.lost.for}. Counts are too low by that share.`,
      },
    ),
    warning('KvmExitExporterUnknownGaps', `${sumWithout(['cpu'], gaps)} > 0`, exporter.gaps.for, {
      summary: 'Source {{ $labels.source }} on {{ $labels.instance }} has gaps of unknown size',
      description:
        '{{ $value | humanize }} gaps in {{ $labels.source }} on {{ $labels.instance }} ' +
        `in ${exporter.gaps.window}. The number of missing events is unknown.`,
    }),
    warning('KvmExitExporterSeriesLimited', refusedSeries(exporter.limited.window), exporter.limited.for, {
      summary: 'The agent on {{ $labels.instance }} is at its limit of series',
      description:
        `{{ $value | humanize }} series on {{ $labels.instance }} exceeded the limit in ${exporter.limited.window} ` +
        'and are added up as "other" (limit: {{ $labels.limit }}). Totals are right; details are missing.',
    }),
    warning(
      'KvmExitExporterMalformedInput',
      `increase(${series('kvm_exit_exporter_malformed_total')}[${exporter.malformed.window}]) > 0`,
      exporter.malformed.for,
      {
        summary: 'The agent on {{ $labels.instance }} cannot decode parts of {{ $labels.source }}',
        description:
          '{{ $value | humanize }} pieces of {{ $labels.source }} on {{ $labels.instance }} could not be decoded ' +
          `in ${exporter.malformed.window} (kind: {{ $labels.kind }}).`,
      },
    ),
    warning(
      'KvmExitExporterAuditDifference',
      `abs(${series('kvm_exit_exporter_audit_ratio')} - 1) > ${exporter.audit.difference}`,
      exporter.audit.for,
      {
        summary: "The agent on {{ $labels.instance }} and KVM count VM {{ $labels.vm }}'s exits differently",
        description:
          "The agent's count differs from KVM's own {{ $labels.check }} by {{ $value | humanizePercentage }}, for VM " +
          `{{ $labels.vm }} on {{ $labels.instance }}, for ${exporter.audit.for}. No events were lost.`,
      },
    ),
  ];
}

/** Series refused within the window. An agent that started within the window has no increase yet, only a value. */
function refusedSeries(window: string): string {
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
