/** Queries that have no result in the demo, tested by promtool on synthetic series, with the recording rules. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../support/paths.js';
import { filled } from '../../support/prometheus/dashboards.js';
import { needs } from '../../support/requirements.js';
import { type FedQuery, NOT_IN_DEMO } from './not-in-demo.js';

/** A unit test for promtool. It is JSON, which is valid YAML. */
function unitTest({ expr, input, want, unit = 'h' }: FedQuery): string {
  return JSON.stringify({
    rule_files: [join(ROOT, 'deploy/prometheus/rules.yml')],
    evaluation_interval: `1${unit}`,
    tests: [
      {
        interval: `1${unit}`,
        input_series: Object.entries(input).map(([series, values]) => ({
          series: series.replace('{', '{job="kvm-exit-exporter",instance="host-1",'),
          values,
        })),
        promql_expr_test: [
          {
            expr: filled(expr, { vm: 'web-1', rateInterval: '4h' }),
            eval_time: `200${unit}`,
            exp_samples: Object.entries(want).map(([labels, value]) => ({ labels, value })),
          },
        ],
      },
    ],
  });
}

for (const fed of NOT_IN_DEMO) {
  test(`${fed.dashboard}: ${fed.query}, which has no result in the demo because ${fed.why}`, needs('promtool'), () => {
    const folder = mkdtempSync(join(tmpdir(), 'promtool-'));
    try {
      const file = join(folder, 'query.json');
      writeFileSync(file, unitTest(fed));
      const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
      assert.equal(status, 0, stdout + stderr);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
