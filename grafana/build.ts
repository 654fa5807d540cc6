/**
 * `npm run dashboards`: writes grafana/dashboards/*.json, the rule files and the table of alerts in deploy/prometheus,
 * the PrometheusRule, and the copies of the Helm chart, which can read no file outside of its folder. The results are
 * committed, so they can be used without Node.js; a test fails when one is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { exporter } from './dashboards/exporter.js';
import { fleet } from './dashboards/fleet.js';
import { dashboardJson } from './dashboards/json.js';
import { vm } from './dashboards/vm.js';
import { withAlertTable } from './rules/alert-table.js';
import { alerts } from './rules/alerts.js';
import { nativeHistogramRules } from './rules/native-histograms.js';
import { recordingRules } from './rules/recording-rules.js';
import { prometheusRule, ruleFile } from './rules/rule-files.js';
import { THRESHOLDS } from './thresholds.js';

const ROOT = join(import.meta.dirname, '../..');
/** Written by hand, except for its table of alerts. */
const ALERT_PAGE = 'deploy/prometheus/README.md';
const CHART_FILES = 'deploy/helm/kvm-exit-exporter/files';
const DASHBOARDS = { fleet, vm, exporter };

/** Path below the root -> content. */
export function generated(): Map<string, string> {
  const groups = [...recordingRules(THRESHOLDS), ...alerts(THRESHOLDS)];
  return new Map([
    ...Object.entries(DASHBOARDS).flatMap(([name, dashboard]): [string, string][] => [
      [`grafana/dashboards/${name}.json`, dashboardJson(dashboard)],
      [`${CHART_FILES}/dashboards/${name}.json`, dashboardJson(dashboard)],
    ]),
    ['deploy/prometheus/rules.yml', ruleFile(recordingRules(THRESHOLDS))],
    ['deploy/prometheus/native-histograms/rules.yml', ruleFile(nativeHistogramRules())],
    ['deploy/prometheus/alerts.yml', ruleFile(alerts(THRESHOLDS))],
    [ALERT_PAGE, withAlertTable(read(join(ROOT, ALERT_PAGE)) ?? '', alerts(THRESHOLDS))],
    ['deploy/kubernetes/components/prometheus-rule/prometheus-rule.yaml', prometheusRule(groups)],
    [`${CHART_FILES}/rules.yaml`, ruleFile(groups)],
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
