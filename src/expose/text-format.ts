/**
 * The two text formats of /metrics.
 *
 *   Prometheus 0.0.4                          OpenMetrics 1.0.0
 *   # HELP kvm_exits_total VM exits. "kvm"    # TYPE kvm_exits counter
 *   # TYPE kvm_exits_total counter            # HELP kvm_exits VM exits. \"kvm\"
 *   kvm_exits_total{vm="a"} 5                 kvm_exits_total{vm="a"} 5
 *                                             # EOF
 *
 * OpenMetrics names the family of a counter without _total, escapes quotes in help texts, has units, and requires `le`
 * to be a float: 1.0. Lines with _created are omitted, because the time at which a counter started is not known of
 * every counter; exemplars are omitted, because there are no trace ids.
 * https://prometheus.io/docs/instrumenting/exposition_formats/ https://prometheus.io/docs/specs/om/open_metrics_spec/
 *
 * prom-client is not used for this: it takes 5 to 10 times as long (test/bench/scrape-cost.ts), and once asked for
 * OpenMetrics it removes _total from the names of its metrics for good (15.1.3, also 0.16.1 of its successor).
 */
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
}

export interface TextFormat {
  readonly contentType: string;
  /** Returns the lines before the samples of a family. */
  readonly head: (family: Family) => string;
  /** Returns the name of the samples of a counter or gauge. */
  readonly sampleName: (family: Family) => string;
  /** Formats the upper edge of a bucket. */
  readonly le: (edge: number) => string;
  /** The last line. */
  readonly end: string;
}

export const PROMETHEUS_TEXT: TextFormat = {
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  head: ({ name, type, help }) => `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`,
  sampleName: ({ name }) => name,
  le: goFloat,
  end: '',
};

export const OPENMETRICS: TextFormat = {
  contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  head(family) {
    const name = openMetricsName(family);
    const unit = /_(seconds|bytes)$/.exec(name)?.[1];
    return [
      `# TYPE ${name} ${family.type}\n`,
      unit === undefined ? '' : `# UNIT ${name} ${unit}\n`,
      `# HELP ${name} ${escapeHelp(family.help).replaceAll('"', '\\"')}\n`,
    ].join('');
  },
  sampleName: (family) => (family.type === 'counter' ? `${openMetricsName(family)}_total` : family.name),
  le: (edge) => goFloat(edge).replace(/^\d+$/, '$&.0'),
  end: '# EOF\n',
};

function openMetricsName({ name, type }: Family): string {
  return type === 'counter' ? name.replace(/_total$/, '') : name;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

export function escapeLabelValue(value: string): string {
  // Few values have anything to escape, and a test is cheaper than three replacements.
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** Both formats write NaN, +Inf and -Inf; any other number is as JavaScript writes it. */
export function formatNumber(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

/**
 * Formats a number as Go's %g does: 5e-07, not 5e-7. Prometheus 3 normalizes every `le` to this form; written so from
 * the start, it is the same in both formats and in every version of Prometheus.
 */
function goFloat(value: number): string {
  if (!Number.isFinite(value)) return formatNumber(value);
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  if (value === 0 || (Number(exponent) >= -4 && Number(exponent) < 21)) return String(value);
  return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
}
