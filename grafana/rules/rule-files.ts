/** Rule groups, and the YAML that Prometheus reads. */

export interface RecordingRule {
  readonly record: string;
  readonly expr: string;
}

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: 'critical' | 'warning' };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url?: string };
}

export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly (RecordingRule | AlertRule)[];
}

const HEADER =
  '# Made by `npm run dashboards` from grafana/*.ts; thresholds are in grafana/thresholds.ts. Do not edit.\n';

/** The same rules as the Prometheus Operator takes them. */
const PROMETHEUS_RULE = `apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: kvm-exit-exporter
  namespace: kvm-exit-exporter
  labels:
    app.kubernetes.io/name: kvm-exit-exporter
    # kube-prometheus-stack selects by it, unless ruleSelectorNilUsesHelmValues is false.
    release: kube-prometheus-stack
spec:
`;

/** The fixed shape of a rule file needs no YAML library: names as they are, texts as JSON strings (which YAML reads), queries as blocks. */
export function ruleFile(groups: readonly RuleGroup[]): string {
  return `${HEADER}${groupLines(groups).join('\n')}\n`;
}

export function prometheusRule(groups: readonly RuleGroup[]): string {
  const lines = groupLines(groups).map((line) => `  ${line}`);
  return `${HEADER}${PROMETHEUS_RULE}${lines.join('\n')}\n`;
}

function groupLines(groups: readonly RuleGroup[]): string[] {
  return [
    'groups:',
    ...groups.flatMap(({ name, rules }) => [`  - name: ${name}`, '    rules:', ...rules.flatMap(ruleLines)]),
  ];
}

function ruleLines(rule: RecordingRule | AlertRule): string[] {
  const expr = ['        expr: |-', ...rule.expr.split('\n').map((line) => `          ${line}`)];
  if ('record' in rule) return [`      - record: ${rule.record}`, ...expr];
  return [
    `      - alert: ${rule.alert}`,
    ...expr,
    `        for: ${rule.for}`,
    '        labels:',
    ...mapLines(rule.labels),
    '        annotations:',
    ...mapLines(rule.annotations),
  ];
}

function mapLines(map: Readonly<Record<string, string>>): string[] {
  return Object.entries(map).map(([key, value]) => `          ${key}: ${JSON.stringify(value)}`);
}
