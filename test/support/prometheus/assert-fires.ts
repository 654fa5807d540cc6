import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../paths.js';

/** A series that keeps its value, as `name{labels} value`. */
type Sample = string;

/**
 * Asks promtool whether an alert fires for these series, and for no other, after an hour in which the samples keep
 * their values.
 * @param firing labels of the series for which it is to fire, as `{a="b",c="d"}`; their names must be the same in each
 */
export function assertFires(alert: string, samples: readonly Sample[], firing: readonly string[]): void {
  const names = [...new Set(firing.flatMap((labels) => [...labels.matchAll(/(\w+)="/g)].map(([, name]) => name)))];
  const expr = `count by (${names.join(', ')}) (ALERTS{alertname="${alert}",alertstate="firing"})`;
  const test = {
    rule_files: ['rules.yml', 'alerts.yml'].map((file) => join(ROOT, 'deploy/prometheus', file)),
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: samples.map((sample) => {
          const end = sample.lastIndexOf(' ');
          return { series: sample.slice(0, end), values: `${sample.slice(end + 1)}x60` };
        }),
        promql_expr_test: [{ expr, eval_time: '1h', exp_samples: firing.map((labels) => ({ labels, value: 1 })) }],
      },
    ],
  };
  const folder = mkdtempSync(join(tmpdir(), 'fires-'));
  try {
    const file = join(folder, 'test.yml');
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(test));
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    assert.equal(status, 0, `${stdout}${stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
