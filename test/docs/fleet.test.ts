/** docs/bench/fleet.json is a run of today's dashboard and rules, and shows that they are fast enough for a fleet. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { alerts } from '../../grafana/rules/alerts.js';
import { recordingRules } from '../../grafana/rules/recording-rules.js';
import { THRESHOLDS } from '../../grafana/thresholds.js';
import type { FleetReport } from '../bench/fleet/report.js';
import { ROOT } from '../support/paths.js';
import { DASHBOARDS, panelsOf } from '../support/prometheus/dashboards.js';

const REPORT: FleetReport = JSON.parse(readFileSync(join(ROOT, 'docs/bench/fleet.json'), 'utf8'));
const AGAIN = 'run test/bench/fleet/run.ts again';

test('the run was one of 200 agents with 2,000 to 10,000 series, over 24 hours', () => {
  assert.equal(REPORT.agents, 200);
  assert.equal(REPORT.hours, 24);
  assert.ok(REPORT.scraping.series > 200 * 2000 && REPORT.scraping.series < 200 * 10_000);
});

test('each panel of the Fleet dashboard is in it, and took less than a second', () => {
  const fleet = DASHBOARDS.filter(({ uid }) => uid === 'kvm-exits-fleet');
  assert.deepEqual(
    REPORT.panels.map(({ panel, queries }) => [panel, queries]),
    fleet.flatMap(panelsOf).map(({ title, targets = [] }) => [title, targets.length]),
    AGAIN,
  );
  assert.deepEqual(
    REPORT.panels.filter(({ first, median }) => !(first < 1 && median < 1)),
    [],
  );
});

test('each group of rules is in it, and took less than a tenth of its interval', () => {
  assert.deepEqual(
    REPORT.groups.map(({ group, rules }) => `${group} ${rules}`).sort(),
    [...recordingRules(THRESHOLDS), ...alerts(THRESHOLDS)].map(({ name, rules }) => `${name} ${rules.length}`).sort(),
    AGAIN,
  );
  for (const { group, seconds, intervalSeconds } of REPORT.groups) {
    assert.ok(seconds.length >= 3, `${group}: ${seconds.length} evaluations`);
    assert.ok(Math.max(...seconds) < intervalSeconds / 10, `${group}: ${seconds}`);
  }
});
