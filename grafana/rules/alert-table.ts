/**
 * The table of alerts in deploy/prometheus/README.md, one row per alert:
 *
 *   | [KvmFatalExit](../runbooks/KvmFatalExit.md) | critical at once, warning at once | VM *vm* ended with *reason* |
 */
import { withGeneratedBlock } from '../../docs/tools/generated-block.js';
import { markdownTable } from '../../docs/tools/markdown-table.js';
import type { AlertRule, RuleGroup } from './rule-files.js';

export function withAlertTable(page: string, groups: readonly RuleGroup[]): string {
  const rules = groups.flatMap(({ rules }) => rules.filter((rule): rule is AlertRule => 'alert' in rule));
  const names = [...new Set(rules.map(({ alert }) => alert))];
  const rows = names.map((name) => row(rules.filter(({ alert }) => alert === name)));
  return withGeneratedBlock(page, 'alerts', 'npm run dashboards', markdownTable(['alert', 'fires', 'summary'], rows));
}

/** @param rules one per severity of the alert */
function row(rules: readonly AlertRule[]): string[] {
  const [first] = rules as readonly [AlertRule];
  const fires = rules.map(
    ({ labels, for: pending }) => `${labels.severity} ${pending === '0m' ? 'at once' : `after ${pending}`}`,
  );
  return [`[${first.alert}](../runbooks/${first.alert}.md)`, fires.join(', '), plain(first.annotations.summary)];
}

/** Replaces templates by the label's name, `{{ $labels.vm }}` -> `*vm*`, and leaves out conditional words. */
function plain(summary: string): string {
  return summary.replaceAll(/\{\{ with .*?\{\{ end \}\}/g, '').replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, '*$1*');
}
