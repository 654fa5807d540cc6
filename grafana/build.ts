/**
 * Writes grafana/dashboards/*.json, deploy/prometheus/*.yml, the table of alerts and the PrometheusRule: npm run dashboards. What is written is committed, so that
 * nobody needs Node.js to use it; a test says where it is not what the code makes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { exporter } from './dashboards/exporter.js';
import { fleet } from './dashboards/fleet.js';
import { dashboardJson } from './dashboards/json.js';
import { vm } from './dashboards/vm.js';
import { withAlerts } from './rules/alert-table.js';
import { alerts } from './rules/alerts.js';
import { recordingRules } from './rules/recording-rules.js';
import { prometheusRule, ruleFile } from './rules/rule-files.js';
import { THRESHOLDS } from './thresholds.js';

const ROOT = join(import.meta.dirname, '../..');
/** By hand, but for its table. */
const ALERTS = 'deploy/prometheus/README.md';

/** Path below the root -> content. */
export function generated(): Map<string, string> {
  const groups = [...recordingRules(THRESHOLDS), ...alerts(THRESHOLDS)];
  return new Map([
    ['grafana/dashboards/fleet.json', dashboardJson(fleet)],
    ['grafana/dashboards/vm.json', dashboardJson(vm)],
    ['grafana/dashboards/exporter.json', dashboardJson(exporter)],
    ['deploy/prometheus/rules.yml', ruleFile(recordingRules(THRESHOLDS))],
    ['deploy/prometheus/alerts.yml', ruleFile(alerts(THRESHOLDS))],
    [ALERTS, withAlerts(read(join(ROOT, ALERTS)) ?? '', alerts(THRESHOLDS))],
    ['deploy/kubernetes/components/prometheus-rule/prometheus-rule.yaml', prometheusRule(groups)],
  ]);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const [path, content] of generated()) {
    const file = join(ROOT, path);
    if (read(file) === content) continue;
    writeFileSync(file, content);
    console.log(`wrote ${relative('.', file)}`);
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
