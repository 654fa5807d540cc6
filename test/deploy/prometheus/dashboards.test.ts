/** The committed dashboards: up to date, valid for Grafana, and explained in every panel. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { generated } from '../../../grafana/build.js';
import { RUNBOOKS } from '../../../grafana/thresholds.js';
import { CATALOGUE } from '../../../src/snapshot/catalogue.js';
import { ROOT } from '../../support/paths.js';
import { DASHBOARDS, panelsOf, targetsOf } from '../../support/prometheus/dashboards.js';

const UNITS = new Set(Object.values(createRequire(import.meta.url)('@grafana/grafana-foundation-sdk/units')));
/** A unit that Grafana has, or one of its custom units: `suffix:TEXT` stands behind the number. */
const isUnit = (unit: unknown) => UNITS.has(unit) || /^suffix: ?\S+$/.test(String(unit));
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in.
const OWN_DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

for (const [path, content] of generated())
  test(`${path} is up to date (if not: npm run dashboards)`, () =>
    assert.equal(readFileSync(join(ROOT, path), 'utf8'), content));

test('there are three dashboards, each with its own uid', () => {
  assert.deepEqual(DASHBOARDS.map(({ uid, title }) => [uid, title]).sort(), [
    ['kvm-exits-exporter', 'KVM exits / Exporter'],
    ['kvm-exits-fleet', 'KVM exits / Fleet'],
    ['kvm-exits-vm', 'KVM exits / VM'],
  ]);
});

test('every metric of the catalogue is on a dashboard or in an alert', () => {
  const text = [...generated().values()].join('\n');
  const unused = CATALOGUE.filter(({ name }) => !new RegExp(`\\b${name}(_bucket|_sum|_count)?\\b`).test(text));
  assert.deepEqual(
    unused.map(({ name }) => name),
    [],
  );
});

for (const dashboard of DASHBOARDS) {
  const { title } = dashboard;

  test(`${title}: has Grafana's classic schema and is read-only`, () => {
    assert.ok(dashboard.schemaVersion >= 39);
    assert.equal(dashboard.editable, false);
    assert.ok(dashboard.description.length > 40);
    assert.deepEqual(dashboard.tags, ['kvm-exits']);
    // Without these keys the same file serves sidecar, provisioning and import.
    const json = JSON.parse(dashboard.text);
    for (const key of ['id', 'version', '__inputs', '__requires']) assert.equal(json[key], undefined, key);
  });

  test(`${title}: data source, job and instance are chosen at the top`, () => {
    const [datasource, job, instance, ...more] = dashboard.templating.list;
    assert.deepEqual(
      [datasource?.name, datasource?.type, datasource?.query],
      ['datasource', 'datasource', 'prometheus'],
    );
    for (const [variable, name] of [
      [job, 'job'],
      [instance, 'instance'],
    ] as const) {
      assert.deepEqual(
        [variable?.name, variable?.label, variable?.multi, variable?.includeAll, variable?.allValue],
        [name, name, true, true, '.+'],
      );
    }
    assert.deepEqual(
      more.map(({ name }) => name),
      title === 'KVM exits / VM' ? ['vm'] : [],
    );
    for (const variable of dashboard.templating.list.slice(1)) {
      assert.deepEqual(variable.datasource, OWN_DATASOURCE);
      assert.equal(variable.refresh, 2, `${variable.name} is not refreshed when the time range changes`);
      assert.match(variable.query, /^label_values\(/);
    }
  });

  test(`${title}: every panel has a unique title, a description, a unit and a query`, () => {
    const panels = panelsOf(dashboard);
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
    assert.equal(new Set(panels.map((panel) => panel.title)).size, panels.length);
    for (const panel of panels) {
      assert.ok((panel.description ?? '').length > 40, `${panel.title} has no description`);
      assert.ok(isUnit(panel.fieldConfig.defaults.unit), `${panel.title} has no unit that Grafana knows`);
      for (const { id, value } of panel.fieldConfig.overrides.flatMap(({ properties }) => properties))
        if (id === 'unit') assert.ok(isUnit(value), `${panel.title}: ${value}`);
      assert.ok((panel.targets ?? []).length > 0, panel.title);
      assert.deepEqual(panel.datasource, OWN_DATASOURCE, panel.title);
    }
  });

  test(`${title}: every query selects by job and instance, and takes rates over Grafana's interval`, () => {
    for (const { panel, target } of targetsOf(dashboard)) {
      const where = `${panel.title} ${target.refId}: ${target.expr}`;
      assert.deepEqual(target.datasource, OWN_DATASOURCE, where);
      assert.ok(target.range === true || target.instant === true, where);
      for (const [, selectors = ''] of target.expr.matchAll(/\{([^}]*)\}/g)) {
        assert.match(selectors, /job=~"\$job"/, where);
        assert.match(selectors, /instance=~"\$instance"/, where);
      }
      for (const [, window] of target.expr.matchAll(/\[([^\]]*)\]/g)) assert.equal(window, '$__rate_interval', where);
      // Every counter is inside a rate(), and every metric has selectors.
      for (const [whole, before, name, after] of target.expr.matchAll(
        /(\w+\()?\b(\w+_(?:total|bucket|sum|count))\b(.?)/g,
      )) {
        assert.equal(before, 'rate(', `${where}: ${whole} of ${name}`);
        assert.equal(after, '{', where);
      }
    }
  });

  test(`${title}: panels do not overlap and stay on the page`, () => {
    const seen = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      assert.ok(gridPos.x >= 0 && gridPos.w > 0 && gridPos.h > 0 && gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          const other = seen.get(`${x},${y}`);
          assert.equal(other, undefined, `${title} overlaps ${other}`);
          seen.set(`${x},${y}`, title);
        }
    }
  });

  test(`${title}: links lead to existing dashboards and to the runbooks`, () => {
    const uids = DASHBOARDS.map(({ uid }) => uid);
    for (const [, uid = ''] of dashboard.text.matchAll(/"\/d\/([^?"]+)/g)) assert.ok(uids.includes(uid), uid);
    const [tagged, runbooks] = dashboard.links;
    assert.deepEqual([tagged?.type, tagged?.tags], ['dashboards', ['kvm-exits']]);
    assert.equal(runbooks?.url, RUNBOOKS);
  });

  test(`${title}: annotations mark starts and stops of VMs`, () => {
    const { list } = dashboard.annotations;
    assert.deepEqual(
      list.map(({ name }) => name),
      ['VM starts', 'VM stops'],
    );
    for (const { datasource, expr } of list) {
      assert.deepEqual(datasource, OWN_DATASOURCE);
      assert.match(expr, /kvm_vm_info.* unless .*kvm_vm_info/);
    }
  });
}

test('the fleet dashboard links to the VM and to the agent', () => {
  const fleet = DASHBOARDS.find(({ uid }) => uid === 'kvm-exits-fleet');
  assert.match(
    fleet?.text ?? '',
    /\/d\/kvm-exits-vm\?[^"]*var-instance=\$\{__data\.fields\.instance\}&var-vm=\$\{__data\.fields\.vm\}/,
  );
  assert.match(fleet?.text ?? '', /\/d\/kvm-exits-exporter\?[^"]*var-instance=/);
});
