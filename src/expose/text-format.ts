/**
 * The two text formats of /metrics.
 *
 *   Prometheus 0.0.4                          OpenMetrics 1.0.0
 *   # HELP kvm_exits_total VM exits. "kvm"    # TYPE kvm_exits counter
 *   # TYPE kvm_exits_total counter            # HELP kvm_exits VM exits. \"kvm\"
 *   kvm_exits_total{vm="a"} 5                 kvm_exits_total{vm="a"} 5
 *                                             # EOF
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ and
 * https://prometheus.io/docs/specs/om/open_metrics_spec/. OpenMetrics calls a counter's family by its name without
 * _total, escapes quotes in help texts, knows units, and wants `le` to be a float: 1.0. No _created lines: when a
 * counter began is not known of all of them, and what is not known is better not said. No exemplars: nothing here has a
 * trace id.
 *
 * Written here rather than by prom-client because that takes 5 to 10 times as long (test/bench/scrape-cost.ts), and
 * because once asked for OpenMetrics it strips _total from its metrics for ever (15.1.3, also 0.16.1 of its successor).
 */
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
}

export interface TextFormat {
  readonly contentType: string;
  /** The lines before a family's samples. */
  readonly head: (family: Family) => string;
  /** Name of a sample of a counter or gauge. */
  readonly sampleName: (family: Family) => string;
  /** Upper edge of a bucket. */
  readonly le: (edge: number) => string;
  readonly end: string;
}

export const PROMETHEUS_TEXT: TextFormat = {
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  head: ({ name, type, help }) => `# HELP ${name} ${escapedHelp(help)}\n# TYPE ${name} ${type}\n`,
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
      `# HELP ${name} ${escapedHelp(family.help).replaceAll('"', '\\"')}\n`,
    ].join('');
  },
  sampleName: (family) => (family.type === 'counter' ? `${openMetricsName(family)}_total` : family.name),
  le: (edge) => goFloat(edge).replace(/^\d+$/, '$&.0'),
  end: '# EOF\n',
};

function openMetricsName({ name, type }: Family): string {
  return type === 'counter' ? name.replace(/_total$/, '') : name;
}

function escapedHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

export function escapedLabel(value: string): string {
  // Hardly any has something to escape, and to look is cheaper than to replace.
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** `NaN`, `+Inf` and `-Inf`, else what JavaScript says, which any reader of floats understands. */
export function number(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

/**
 * As Go's %g: 5e-07, not 5e-7. Labels are compared letter by letter, and Prometheus 3 writes every `le` so; here it is
 * the same in both formats and for every version.
 */
function goFloat(value: number): string {
  if (!Number.isFinite(value)) return number(value);
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  if (value === 0 || (Number(exponent) >= -4 && Number(exponent) < 21)) return String(value);
  return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
}
