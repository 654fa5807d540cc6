import { join } from 'node:path';
import type { FedQuery } from '../../deploy/prometheus/not-in-demo.js';
import { ROOT } from '../paths.js';
import { filled } from './dashboards.js';

/** A unit test for promtool. It is JSON, which is valid YAML. */
export function fedUnitTest({ expr, input, want, unit = 'h' }: FedQuery): string {
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
