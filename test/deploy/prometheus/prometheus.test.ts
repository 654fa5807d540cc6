/** What Grafana would ask, asked of a real Prometheus that scrapes the demonstration and has the shipped rules. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CATALOGUE } from '../../../src/snapshot/catalogue.js';
import { type DemoAgent, startDemo } from '../../support/agent/demo-agent.js';
import { ROOT } from '../../support/paths.js';
import { DASHBOARDS, filled, targetsOf } from '../../support/prometheus/dashboards.js';
import { Prometheus } from '../../support/prometheus/prometheus.js';
import { needs } from '../../support/requirements.js';
import { NOT_IN_DEMO, RECORDED_NOT_IN_DEMO } from './not-in-demo.js';

const PROMETHEUS = needs('prometheus');
const RULES = ['rules.yml', 'alerts.yml'].map((file) => join(ROOT, 'deploy/prometheus', file));
const RATE_INTERVAL = '10s';
const DEADLINE_MS = 40_000;
/** Only QEMU's own trace knows the device behind an eventfd. */
const MAY_BE_EMPTY = ['device'];

let demo: DemoAgent;
let prometheus: Prometheus;

before(async () => {
  if (PROMETHEUS.skip !== false) return;
  demo = await startDemo();
  prometheus = await Prometheus.start({ target: demo.address, rules: RULES });
});

after(async () => {
  await prometheus?.stop();
  await demo?.stop();
});

/** Asks again until `ask` has nothing to complain about. */
async function eventually(ask: () => Promise<readonly string[]>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const complaints = await ask();
    if (complaints.length === 0) return;
    if (Date.now() > deadline) assert.fail(`still after ${DEADLINE_MS} ms:\n${complaints.join('\n')}`);
    await sleep(500);
  }
}

/** What is wrong with the answer to a query that should have one, and with the labels its legend needs. */
async function complaint(where: string, expr: string, isRange: boolean, legend: string): Promise<string[]> {
  const query = filled(expr, { vm: 'web-1', rateInterval: RATE_INTERVAL });
  const found = isRange ? await prometheus.queryRange(query, 20, 1) : await prometheus.query(query);
  const finite = found.filter(({ values }) => values.some(Number.isFinite));
  if (finite.length === 0) return [`${where}: nothing finite from ${query}`];
  const missing = [...legend.matchAll(/\{\{(\w+)\}\}/g)]
    .filter(([, label = '']) =>
      // A label that is empty is not there, for Prometheus.
      finite.every(({ metric }) => metric[label] === undefined),
    )
    .filter(([, label = '']) => !MAY_BE_EMPTY.includes(label));
  return missing.map(([placeholder]) => `${where}: no series has ${placeholder}`);
}

for (const dashboard of DASHBOARDS) {
  test(`every query of ${dashboard.title} has an answer, with the labels that its legend shows`, PROMETHEUS, () =>
    eventually(async () => {
      const asked = targetsOf(dashboard).filter(({ target }) => !NOT_IN_DEMO.some(({ expr }) => expr === target.expr));
      const complaints = await Promise.all(
        asked.map(({ panel, target }) =>
          complaint(`${panel.title} ${target.refId}`, target.expr, target.range === true, target.legendFormat),
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

  test(`the marks of ${dashboard.title} show VMs that start`, PROMETHEUS, () =>
    eventually(async () => {
      const starts = dashboard.annotations.list.filter(({ name }) => name === 'VM starts');
      assert.equal(starts.length, 1);
      const complaints = starts.map(({ name, expr, textFormat }) => complaint(name, expr, true, textFormat));
      return (await Promise.all(complaints)).flat();
    }),
  );
}

test('type and help of what is scraped are those of the catalogue', PROMETHEUS, () =>
  eventually(async () => {
    const metadata = (await prometheus.api('metadata')) as Record<string, { type: string; help: string }[]>;
    // Prometheus asks for OpenMetrics, which calls a counter's family by its name without _total.
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

test('every rule evaluates, every recording has series, and nothing fires on a healthy agent', PROMETHEUS, () =>
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
