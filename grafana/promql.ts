/**
 * PromQL for dashboards and rules. Metrics and labels are looked up in the catalogue as the query is put together: one that
 * is not there throws, so that a renamed metric breaks `npm run dashboards` and the tests, not somebody's dashboard.
 */
import { CATALOGUE } from '../src/snapshot/catalogue.js';

/** Label -> text that it must equal, or one of {@link anyOf}, {@link not}, {@link noneOf}. */
export type Matchers = Readonly<Record<string, string | Matcher>>;

interface Matcher {
  readonly op: '=~' | '!=' | '!~';
  readonly value: string;
}

export function anyOf(...patterns: readonly string[]): Matcher {
  return { op: '=~', value: patterns.join('|') };
}

export function noneOf(...patterns: readonly string[]): Matcher {
  return { op: '!~', value: patterns.join('|') };
}

export function not(value: string): Matcher {
  return { op: '!=', value };
}

/** What Prometheus itself puts on every series. */
const TARGET_LABELS = ['job', 'instance'];
const HISTOGRAM_SUFFIX = /_(bucket|sum|count)$/;
/** What is scraped but not in the catalogue: Prometheus' own, prom-client's defaults. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  up: [],
  kvm_exit_exporter_build_info: ['version', 'node'],
  process_cpu_seconds_total: [],
  process_resident_memory_bytes: [],
  process_start_time_seconds: [],
  nodejs_eventloop_lag_p99_seconds: [],
};

const CATALOGUED = new Map(CATALOGUE.map((metric) => [metric.name, metric]));
const ALL_LABELS = new Set([...TARGET_LABELS, 'le', 'demo', ...CATALOGUE.flatMap(({ labels }) => labels)]);

/** `kvm_exits_total{layer="qemu"}` */
export function series(name: string, matchers: Matchers = {}): string {
  const known = labelsOf(name);
  const parts = Object.entries(matchers).map(([label, matcher]) => {
    if (!known.includes(label) && !TARGET_LABELS.includes(label)) throw new Error(`${name} has no label ${label}`);
    const { op, value } = typeof matcher === 'string' ? { op: '=', value: matcher } : matcher;
    return `${label}${op}${JSON.stringify(value)}`;
  });
  return parts.length === 0 ? name : `${name}{${parts.join(',')}}`;
}

/** Labels of a metric as it is scraped. Recorded series (with colons in their names) are checked by the rules' own tests. */
function labelsOf(name: string): readonly string[] {
  if (name.includes(':')) return [...ALL_LABELS];
  const own = CATALOGUED.get(name);
  if (own !== undefined && own.type !== 'histogram') return own.labels;
  const histogram = CATALOGUED.get(name.replace(HISTOGRAM_SUFFIX, ''));
  if (histogram?.type === 'histogram' && HISTOGRAM_SUFFIX.test(name)) return [...histogram.labels, 'le'];
  const other = OTHERS[name];
  if (other === undefined) throw new Error(`no metric is called ${name}`);
  return other;
}

export function sumBy(labels: readonly string[], expr: string): string {
  return `sum by (${checked(labels)}) (${expr})`;
}

export function maxBy(labels: readonly string[], expr: string): string {
  return `max by (${checked(labels)}) (${expr})`;
}

export function sumWithout(labels: readonly string[], expr: string): string {
  return `sum without (${checked(labels)}) (${expr})`;
}

function checked(labels: readonly string[]): string {
  for (const label of labels) if (!ALL_LABELS.has(label)) throw new Error(`no metric has a label ${label}`);
  return labels.join(', ');
}
