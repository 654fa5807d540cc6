/** Rules, alerts and runbooks: valid for promtool, tested to fire and to keep silent, and complete. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { alerts } from '../../../grafana/rules/alerts.js';
import { recordingRules } from '../../../grafana/rules/recording-rules.js';
import { RUNBOOKS, THRESHOLDS } from '../../../grafana/thresholds.js';
import { OPTIONS } from '../../../src/config/options.js';
import { ROOT } from '../../support/paths.js';
import { needs } from '../../support/requirements.js';

const PROMTOOL = needs('promtool');
const RULES = ['rules.yml', 'alerts.yml'].map((file) => join(ROOT, 'deploy/prometheus', file));
const TESTS = readdirSync(join(ROOT, 'test/deploy/prometheus')).filter((file) => file.endsWith('.test.yml'));
const RUNBOOK_FOLDER = join(ROOT, 'deploy/runbooks');
const ALERTS = alerts(THRESHOLDS).flatMap(({ rules }) => rules.filter((rule) => 'alert' in rule));
const NAMES = [...new Set(ALERTS.map(({ alert }) => alert))].sort();

function promtool(...args: string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  assert.equal(status, 0, `promtool ${args.join(' ')}\n${stdout}${stderr}`);
}

test('promtool accepts the rules', PROMTOOL, () => promtool('check', 'rules', '--lint=all', '--lint-fatal', ...RULES));

test('promtool accepts a configuration with the rules', PROMTOOL, () => {
  const folder = mkdtempSync(join(tmpdir(), 'promtool-'));
  try {
    const file = join(folder, 'prometheus.yml');
    writeFileSync(file, `rule_files: ${JSON.stringify(RULES)}\n`);
    promtool('check', 'config', file);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

for (const file of TESTS)
  test(`alerts fire and keep silent as ${file} expects`, PROMTOOL, () =>
    promtool('test', 'rules', join(ROOT, 'test/deploy/prometheus', file)),
  );

test('every alert is tested to fire, with its annotations, and to keep silent', () => {
  const text = TESTS.map((file) => readFileSync(join(ROOT, 'test/deploy/prometheus', file), 'utf8')).join('\n');
  for (const name of NAMES) {
    assert.match(
      text,
      new RegExp(`alertname: ${name}\\n\\s+eval_time: \\w+\\n\\s+exp_alerts:\\n\\s+- exp_labels`),
      name,
    );
    const storm = name.endsWith('Storm') ? '=~"Kvm.*Storm"' : `="${name}"`;
    const silent = new RegExp(
      `alertname: ${name}\\n\\s+eval_time: \\w+\\n\\s+exp_alerts: \\[\\]|ALERTS\\{alertname${storm.replace(/[.*]/g, '\\$&')}[^}]*\\}.*\\n\\s+eval_time: \\w+\\n\\s+exp_samples: \\[\\]`,
    );
    assert.match(text, silent, `${name} is never tested to keep silent`);
  }
});

test('every alert has a severity, a summary, a description and a runbook', () => {
  assert.ok(ALERTS.length >= 15);
  for (const { alert, labels, annotations, for: pending } of ALERTS) {
    assert.match(labels.severity, /^(critical|warning)$/);
    assert.match(pending, /^\d+[smh]$/);
    // What only a replay has before it
    const summary = annotations.summary.replace(/^\{\{ with .*?\{\{ end \}\}/, '');
    assert.ok(summary.length > 20 && summary.length < 120, alert);
    assert.match(annotations.description, /\d/, `the description of ${alert} has no number`);
    const isServed = alert !== 'KvmExitExporterDown' && alert !== 'KvmExitExporterAbsent';
    const address = isServed ? `http://{{ $labels.instance }}/runbooks/${alert}` : `${RUNBOOKS}/${alert}.md`;
    assert.equal(annotations.runbook_url, address);
  }
});

test('every alert has a runbook, and every runbook has an alert', () => {
  const files = readdirSync(RUNBOOK_FOLDER).map((file) => file.replace(/\.md$/, ''));
  assert.deepEqual(files.sort(), NAMES);
});

for (const name of NAMES)
  test(`the runbook of ${name} has all sections, a dashboard, a query and a command`, () => {
    const text = readFileSync(join(RUNBOOK_FOLDER, `${name}.md`), 'utf8');
    const headings = [...text.matchAll(/^#+ .*$/gm)].map(([heading]) => heading);
    assert.deepEqual(headings, [`# ${name}`, '## Meaning', '## Impact', '## Diagnosis', '## Mitigation']);
    const diagnosis = /## Diagnosis\n(.*)## Mitigation/s.exec(text)?.[1] ?? '';
    assert.match(diagnosis, /kvm-exit-exporter report|`report`/);
    assert.doesNotMatch(text, /\/tmp\//, 'a name that every user can take');
    assert.match(diagnosis, /[Dd]ashboard \*KVM exits \/ (Fleet|VM|Exporter)\*|The dashboard/);
    assert.match(diagnosis, /\w+[({]|count by| == 0/, 'the diagnosis has no query');
    for (const [, flag = ''] of text.matchAll(/--(?:no-)?((?:collector|tracefs|path|vm|web|qemu|limit)\.[\w.-]+)/g))
      assert.ok(
        OPTIONS.some((option) => option.flag === flag),
        `there is no option --${flag}`,
      );
    for (const [, other = ''] of text.matchAll(/\]\((\w+)\.md/g)) assert.ok(NAMES.includes(other), other);
  });

test('recorded series are named level:metric:operations, and aggregations keep the labels of the target', () => {
  const rules = recordingRules(THRESHOLDS).flatMap(({ rules }) => rules.filter((rule) => 'record' in rule));
  assert.ok(rules.length >= 10);
  for (const { record, expr } of rules) {
    assert.match(record, /^[a-z_]+:kvm_[a-z_]+:[a-z0-9_]+$/);
    assert.doesNotMatch(record, /_total/);
    assert.doesNotMatch(expr, /\bby \(/);
  }
});
