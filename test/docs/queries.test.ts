/** The PromQL on pages and in runbooks: promtool accepts it, and it names metrics and labels that exist. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { recordingRules } from '../../grafana/rules/recording-rules.js';
import { THRESHOLDS } from '../../grafana/thresholds.js';
import { CATALOGUE } from '../../src/snapshot/catalogue.js';
import { pages } from '../support/markdown.js';
import { queriesOf } from '../support/markdown-code.js';
import { needs } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const QUERIES = pages().flatMap((page) => queriesOf(page).map((expr) => ({ page: page.path, expr })));

/** Labels of each metric and of each part of a histogram; recorded series have those of their expressions. */
const LABELS = new Map<string, readonly string[] | undefined>([
  ...CATALOGUE.flatMap(({ name, type, labels }) =>
    (type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']).map(
      (part) => [`${name}${part}`, part === '_bucket' ? [...labels, 'le'] : labels] as const,
    ),
  ),
  ...recordingRules(THRESHOLDS).flatMap(({ rules }) =>
    rules.flatMap((rule) => ('record' in rule ? [[rule.record, undefined] as const] : [])),
  ),
]);
const LABELS_OF_TARGETS = ['instance', 'job'];

test('pages have queries', () => {
  const from = new Set(QUERIES.map(({ page }) => page));
  assert.ok(QUERIES.length > 90 && from.size > 50, `${QUERIES.length} on ${from.size} pages`);
});

test('promtool accepts the queries of pages', needs('promtool'), (t) => {
  const file = join(temporaryFolder(t, 'promtool'), 'queries.yml');
  const rules = QUERIES.map(({ page, expr }, index) => ({ record: `page:query:${index}`, expr, labels: { page } }));
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'pages', rules }] }));
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test('queries of pages name metrics and labels that exist', () => {
  const wrong = QUERIES.flatMap(({ page, expr }) => {
    const selectors = [...expr.matchAll(/(?<![\w"])((?:kvm|qemu)_\w+|vm:[\w:]+)\b(?:\{([^}]*)\})?/g)].filter(
      ([name]) => !expr.includes(`"${name}`),
    );
    return selectors.flatMap(([, name = '', matchers = '']) => {
      if (!LABELS.has(name)) return [`${page}: no metric ${name}`];
      const labels = LABELS.get(name);
      return [...matchers.matchAll(/(\w+)[=!]/g)]
        .map(([, label = '']) => label)
        .filter((label) => labels !== undefined && ![...labels, ...LABELS_OF_TARGETS].includes(label))
        .map((label) => `${page}: ${name} has no label ${label}`);
    });
  });
  assert.deepEqual(wrong, []);
});

test('queries are found in blocks, lists and between backticks', () => {
  const text = [
    '1. How many? `rate(kvm_a_total{b="c"}[5m]) > 0`, `rate()`, `kvm_a_total`, `kvm_a_total{b="c"} 5`',
    '',
    '       topk(5, x)',
    '       sum by (a) (x)',
    '         / on (a) y',
    '',
    '```promql',
    '# a comment',
    'changes(kvm_b[1h])',
    '> 0',
    '```',
    '',
    '    kvm_a_total{b="c"} 5',
    '    kvm-exit-exporter report x > y',
    '',
  ].join('\n');
  assert.deepEqual(queriesOf({ path: '', text }).sort(), [
    'changes(kvm_b[1h])\n> 0',
    'rate(kvm_a_total{b="c"}[5m]) > 0',
    'sum by (a) (x)\n  / on (a) y',
    'topk(5, x)',
  ]);
});
