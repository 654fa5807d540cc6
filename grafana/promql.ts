/**
 * Builds PromQL for dashboards and rules. An unknown metric or label throws, so a renamed metric breaks
 * `npm run dashboards` and the tests instead of a dashboard in production.
 */
import { CATALOGUE } from '../src/snapshot/catalogue.js';

/** Label -> the value that it must equal, or a regular expression that it must match. */
export type Matchers = Readonly<Record<string, string | Pattern>>;

interface Pattern {
  readonly regex: string;
  /** True to match what the expression does not fit. */
  readonly isExcluded?: boolean;
}

/** Matches a label that fits one of the regular expressions. */
export function anyOf(...regexes: readonly string[]): Pattern {
  return { regex: regexes.join('|') };
}

/** Matches a label that fits none of the regular expressions. */
function noneOf(...regexes: readonly string[]): Pattern {
  return { regex: regexes.join('|'), isExcluded: true };
}

/**
 * The exits to QEMU: returns of KVM_RUN, without calls that a signal interrupted or that failed. With those, more exits
 * could reach QEMU than there are.
 */
export const TO_QEMU: Matchers = { layer: 'qemu', reason: noneOf('restart', 'error') };

/** Labels that Prometheus adds to every series. */
const TARGET_LABELS = ['job', 'instance'];
const HISTOGRAM_SUFFIX = /_(bucket|sum|count)$/;
/**
 * Metrics outside the catalogue -> their labels: those of Prometheus itself, prom-client's defaults, and those of the
 * agent's process over OTLP.
 */
const UNCATALOGUED: Readonly<Record<string, readonly string[]>> = {
  up: [],
  kvm_exit_exporter_build_info: ['version', 'node'],
  kvm_exit_exporter_scrape_seconds: [],
  process_cpu_seconds_total: [],
  process_cpu_time_seconds_total: ['cpu_mode'],
  process_resident_memory_bytes: [],
  process_memory_usage_bytes: [],
  process_start_time_seconds: [],
  kvm_exit_exporter_event_loop_max_stall_seconds: [],
  kvm_exit_exporter_event_loop_max_work_seconds: [],
  kvm_exit_exporter_max_resident_memory_bytes: [],
};

const CATALOGUED = new Map(CATALOGUE.map((metric) => [metric.name, metric]));
const ALL_LABELS = new Set([...TARGET_LABELS, 'le', 'demo', ...CATALOGUE.flatMap(({ labels }) => labels)]);

/** `kvm_exits_total{layer="qemu"}` */
export function series(name: string, matchers: Matchers = {}): string {
  const known = labelsOf(name);
  const selectors = Object.entries(matchers).map(([label, matcher]) => {
    if (!known.includes(label) && !TARGET_LABELS.includes(label)) throw new Error(`${name} has no label ${label}`);
    if (typeof matcher === 'string') return `${label}=${JSON.stringify(matcher)}`;
    return `${label}${matcher.isExcluded === true ? '!~' : '=~'}${JSON.stringify(matcher.regex)}`;
  });
  return selectors.length === 0 ? name : `${name}{${selectors.join(',')}}`;
}

/** The labels that a metric may have. Recorded series (with colons in their names) are checked by the rules' tests. */
function labelsOf(name: string): readonly string[] {
  if (name.includes(':')) return [...ALL_LABELS];
  const own = CATALOGUED.get(name);
  if (own !== undefined && own.type !== 'histogram') return own.labels;
  const histogram = CATALOGUED.get(name.replace(HISTOGRAM_SUFFIX, ''));
  if (histogram?.type === 'histogram' && HISTOGRAM_SUFFIX.test(name)) return [...histogram.labels, 'le'];
  const other = UNCATALOGUED[name];
  if (other === undefined) throw new Error(`no metric has the name ${name}`);
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
