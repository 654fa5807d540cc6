/** Sends Grafana's queries to a real Prometheus that scrapes the demo and loads the rules of deploy/prometheus. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CATALOGUE } from '../../../src/snapshot/catalogue.js';
import { type DemoAgent, startDemo } from '../../support/agent/start-demo.js';
import { DASHBOARDS, filled, targetsOf } from '../../support/prometheus/dashboards.js';
import { Prometheus } from '../../support/prometheus/prometheus.js';
import { writeQuickRules } from '../../support/prometheus/quick-rules.js';
import { needs } from '../../support/requirements.js';
import { NOT_IN_DEMO, RECORDED_NOT_IN_DEMO } from './not-in-demo.js';

const PROMETHEUS = needs('prometheus');
const RATE_INTERVAL = '10s';
const DEADLINE_MS = 180_000;
/** Labels that may be empty: only QEMU's own trace names the device of an eventfd. */
const MAY_BE_EMPTY = ['device'];

const folder = mkdtempSync(join(tmpdir(), 'rules-'));
let demo: DemoAgent;
let prometheus: Prometheus;

before(async () => {
  if (PROMETHEUS.skip !== false) return;
  demo = await startDemo();
  prometheus = await Prometheus.start({ target: demo.address, rules: writeQuickRules(folder) });
});

after(async () => {
  await prometheus?.stop();
  await demo?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Calls `ask` until it returns no complaint. */
async function eventually(ask: () => Promise<readonly string[]>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const complaints = await ask();
    if (complaints.length === 0) return;
    if (Date.now() > deadline) assert.fail(`after ${DEADLINE_MS} ms:\n${complaints.join('\n')}`);
    await sleep(500);
  }
}

/** Complaints if a query has no finite result, or no series with a label that its legend shows. */
async function complaintsAbout(where: string, expr: string, isRange: boolean, legend: string): Promise<string[]> {
  const query = filled(expr, { vm: 'web-1', rateInterval: RATE_INTERVAL });
  const found = isRange ? await prometheus.queryRange(query, 20, 1) : await prometheus.query(query);
  const finite = found.filter(({ values }) => values.some(Number.isFinite));
  if (finite.length === 0) return [`${where}: no finite result of ${query}`];
  const missing = [...legend.matchAll(/\{\{(\w+)\}\}/g)]
    .filter(([, label = '']) =>
      // Prometheus treats an empty label as missing.
      finite.every(({ metric }) => metric[label] === undefined),
    )
    .filter(([, label = '']) => !MAY_BE_EMPTY.includes(label));
  return missing.map(([placeholder]) => `${where}: no series has ${placeholder}`);
}

for (const dashboard of DASHBOARDS) {
  test(`every query of ${dashboard.title} has a result, with the labels that its legend shows`, PROMETHEUS, () =>
    eventually(async () => {
      const tested = targetsOf(dashboard).filter(({ target }) => !NOT_IN_DEMO.some(({ expr }) => expr === target.expr));
      const complaints = await Promise.all(
        tested.map(({ panel, target }) =>
          complaintsAbout(`${panel.title} ${target.refId}`, target.expr, target.range === true, target.legendFormat),
        ),
      );
      return complaints.flat();
    }),
  );

  test(`every variable of ${dashboard.title} has values`, PROMETHEUS, () =>
    eventually(async () => {
      const queries = dashboard.templating.list.filter(({ type }) => type === 'query');
      assert.ok(queries.length >= 2);
      const complaints = await Promise.all(
        queries.map(async ({ name, query }) => {
          const [, metric = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(query) ?? [];
          const match = filled(metric, { vm: '', rateInterval: '' });
          const values = await prometheus.api(`label/${label}/values`, { 'match[]': match });
          return Array.isArray(values) && values.length > 0 ? [] : [`${name}: no values from ${query}`];
        }),
      );
      return complaints.flat();
    }),
  );

  test(`the annotations of ${dashboard.title} mark VMs that start`, PROMETHEUS, () =>
    eventually(async () => {
      const starts = dashboard.annotations.list.filter(({ name }) => name === 'VM starts');
      assert.equal(starts.length, 1);
      const complaints = starts.map(({ name, expr, textFormat }) => complaintsAbout(name, expr, true, textFormat));
      return (await Promise.all(complaints)).flat();
    }),
  );
}

test('type and help of scraped metrics are those of the catalogue', PROMETHEUS, () =>
  eventually(async () => {
    const metadata = (await prometheus.api('metadata')) as Record<string, { type: string; help: string }[]>;
    // Prometheus scrapes OpenMetrics, in which the name of a counter's family has no _total.
    return CATALOGUE.flatMap(({ name, type, help }) => {
      const family = type === 'counter' ? name.replace(/_total$/, '') : name;
      const [own] = metadata[family] ?? [];
      return own?.type === type && own.help === help ? [] : [`${family}: ${JSON.stringify(own)}`];
    });
  }),
);

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly name: string;
      readonly type: 'recording' | 'alerting';
      readonly health: string;
      readonly lastError?: string;
      readonly state?: string;
    }[];
  }[];
}

test('every rule evaluates, every recording rule has series, and no alert fires for a healthy agent', PROMETHEUS, () =>
  eventually(async () => {
    const { groups } = (await prometheus.api('rules')) as Rules;
    const rules = groups.flatMap((group) => group.rules);
    assert.ok(rules.length > 20);
    const sick = rules.filter(({ health }) => health !== 'ok').map((rule) => JSON.stringify(rule));
    const firing = rules.filter(({ state }) => state === 'firing').map(({ name }) => `${name} fires`);
    const records = rules.filter(({ type, name }) => type === 'recording' && !RECORDED_NOT_IN_DEMO.includes(name));
    const empty = await Promise.all(
      records.map(async ({ name }) => {
        const series = await prometheus.query(name);
        return series.some(({ values }) => values.some(Number.isFinite)) ? [] : [`${name} has no series`];
      }),
    );
    return [...sick, ...firing, ...empty.flat()];
  }),
);
