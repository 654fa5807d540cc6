/** Checks the dashboards against the schema that Grafana publishes with its Foundation SDK. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DASHBOARDS, panelsOf } from '../../support/prometheus/dashboards.js';
import { type Literal, typeProblems } from '../../support/prometheus/sdk-types.js';

/** Kind of panel -> the types of its settings, which the schema of a dashboard does not check. */
const OPTIONS: Readonly<Record<string, { options: string; custom?: string }>> = {
  stat: { options: 'stat.Options' },
  table: { options: 'table.Options', custom: 'table.FieldConfig' },
  timeseries: { options: 'timeseries.Options', custom: 'timeseries.FieldConfig' },
  heatmap: { options: 'heatmap.Options', custom: 'heatmap.FieldConfig' },
};

interface PanelSettings {
  readonly type: string;
  readonly title: string;
  readonly options?: unknown;
  readonly targets?: readonly unknown[];
  readonly fieldConfig?: { readonly defaults: { readonly custom?: unknown } };
}

test('the dashboards fit the schema of the Foundation SDK', () => {
  const literals = new Map<string, Literal>();
  for (const dashboard of DASHBOARDS) {
    const { panels: _, ...rest } = JSON.parse(dashboard.text);
    literals.set(dashboard.title, { type: 'dashboard.Dashboard', value: rest });
    for (const [at, panel] of (panelsOf(dashboard) as readonly PanelSettings[]).entries())
      addPanel(`${dashboard.title} #${at} ${panel.title}`, panel, literals);
  }
  assert.ok(literals.size > 150);
  assert.deepEqual(typeProblems(literals), []);
});

function addPanel(name: string, panel: PanelSettings, literals: Map<string, Literal>): void {
  if (panel.type === 'row') return void literals.set(name, { type: 'dashboard.RowPanel', value: panel });
  literals.set(name, { type: 'dashboard.Panel', value: panel });
  const schema = OPTIONS[panel.type];
  assert.ok(schema, `${name}: no schema for ${panel.type}`);
  literals.set(`${name}, options`, { type: schema.options, value: panel.options });
  const custom = panel.fieldConfig?.defaults.custom;
  if (custom !== undefined) literals.set(`${name}, field`, { type: schema.custom ?? 'never', value: custom });
  for (const [at, target] of (panel.targets ?? []).entries())
    literals.set(`${name}, query ${at}`, { type: 'prometheus.Dataquery', value: target });
}

test('the schema refuses unknown fields and values', () => {
  const wrong: readonly (readonly [string, unknown])[] = [
    ['timeseries.Options', { legend: { displayMode: 'lst', placement: 'bottom', showLegend: true, calcs: [] } }],
    ['dashboard.Dashboard', { schemaVersion: 39, templating: {}, annotations: {}, titel: 'KVM' }],
    ['dashboard.Panel', { title: 'no type' }],
    ['dashboard.Panel', { type: 'stat', gridPos: { x: 0, y: 0, w: 1, height: 1 } }],
  ];
  for (const [type, value] of wrong)
    assert.match(typeProblems(new Map([['wrong', { type, value }]]))[0] ?? 'accepted', /^wrong: error TS/, type);
});
