/**
 * The alerts for people, in deploy/prometheus/README.md: a row of name, severities and what each tells,
 *
 *   [KvmFatalExit](../runbooks/KvmFatalExit.md) | critical, warning | a VM ended with {{ $labels.reason }}
 */
import { withPart } from '../../docs/tools/readme.js';
import { markdownTable } from '../../src/config/help.js';
import type { AlertRule, RuleGroup } from './rule-files.js';

export function withAlerts(markdown: string, groups: readonly RuleGroup[]): string {
  const rules = groups.flatMap(({ rules }) => rules.filter((rule): rule is AlertRule => 'alert' in rule));
  const names = [...new Set(rules.map(({ alert }) => alert))];
  const rows = names.map((name) => row(rules.filter(({ alert }) => alert === name)));
  return withPart(markdown, 'alerts', markdownTable(['alert', 'fires', 'says'], rows));
}

/** An alert has a rule for each of its severities. */
function row(rules: readonly AlertRule[]): string[] {
  const [first] = rules as readonly [AlertRule];
  const fires = rules.map(
    ({ labels, for: pending }) => `${labels.severity} ${pending === '0m' ? 'at once' : `after ${pending}`}`,
  );
  return [`[${first.alert}](../runbooks/${first.alert}.md)`, fires.join(', '), plain(first.annotations.summary)];
}

/** Prometheus' templates as the names of labels. */
function plain(summary: string): string {
  return summary.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, '*$1*');
}
