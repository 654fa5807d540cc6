/**
 * Rules for Prometheus 3 with native histograms: they make the series of classic histograms again, which the dashboards
 * and the other rules read. Other storages do not know these functions.
 */
import { PROMETHEUS_TEXT } from '../../src/expose/text-format.js';
import { CATALOGUE } from '../../src/snapshot/catalogue.js';
import type { HistogramMetric } from '../../src/snapshot/metric.js';
import type { RecordingRule, RuleGroup } from './rule-files.js';

const HISTOGRAMS = CATALOGUE.filter((metric): metric is HistogramMetric => metric.type === 'histogram');

export function nativeHistogramRules(): RuleGroup[] {
  return [{ name: 'kvm-exits.native-histograms', rules: HISTOGRAMS.flatMap(classicSeries) }];
}

function classicSeries({ name, bounds }: HistogramMetric): RecordingRule[] {
  const count = `histogram_count(${name})`;
  const bucket = (le: string, expr: string) => ({ record: `${name}_bucket`, expr, labels: { le } });
  return [
    { record: `${name}_count`, expr: count },
    { record: `${name}_sum`, expr: `histogram_sum(${name})` },
    ...bounds.map((bound) => bucket(PROMETHEUS_TEXT.le(bound), `histogram_fraction(0, ${bound}, ${name}) * ${count}`)),
    bucket('+Inf', count),
  ];
}
