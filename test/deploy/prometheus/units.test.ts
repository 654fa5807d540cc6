/** The unit of every panel that shows a rate says what is counted: exits, or other things. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DASHBOARDS, type Panel, panelsOf, type Target } from '../../support/prometheus/dashboards.js';

/** The counters of exits, as docs/metrics.md describes them. What other counters count are no exits. */
const OF_EXITS: ReadonlySet<string> = new Set([
  'kvm_exits_total',
  'kvm_exit_causes_total',
  'kvm_io_exits_total',
  'kvm_msr_exits_total',
  'kvm_cpuid_exits_total',
  'kvm_hypercalls_total',
  'kvm_nested_exits_total',
  'kvm_ghcb_exits_total',
]);

/** The metrics whose rates a query shows; none if it divides them. */
function ratedMetrics({ expr }: Target): string[] {
  if (/\s\/\s/.test(expr)) return [];
  return [...expr.matchAll(/\brate\((\w+)/g)]
    .map(([, metric = '']) => metric)
    .filter((name) => name.endsWith('_total'));
}

/** Rates of seconds have no unit, or that of a share. KVM's own statistics count this and that: they are left out. */
const isCount = (metric: string) => !/_seconds_total$|^kvm_stat_/.test(metric);

/** The unit of one query: that of its column, else the one of the panel. */
function unitOf({ fieldConfig }: Panel, { legendFormat }: Target): unknown {
  const column = fieldConfig.overrides.find(({ matcher }) => matcher.options === legendFormat);
  return column?.properties.find(({ id }) => id === 'unit')?.value ?? fieldConfig.defaults.unit;
}

for (const dashboard of DASHBOARDS)
  test(`${dashboard.title}: exits per second are exits/s, all other counts per second are /s`, () => {
    for (const panel of panelsOf(dashboard)) {
      const targets = (panel.targets ?? []).map((target) => ({
        target,
        metrics: ratedMetrics(target).filter(isCount),
      }));
      // Lines that are compared share an axis, and its unit.
      const isTable = panel.type === 'table';
      const all = targets.flatMap(({ metrics }) => metrics);
      for (const { target, metrics } of targets) {
        if (metrics.length === 0 || /^count|[<>=]= ?\d|> bool/.test(target.expr)) continue;
        const areExits = (isTable ? metrics : all).every((metric) => OF_EXITS.has(metric));
        assert.equal(
          unitOf(panel, target),
          areExits ? 'suffix: exits/s' : 'suffix:/s',
          `${panel.title}: ${target.expr}`,
        );
      }
    }
  });

test('no unit is one of counts per second, which say nothing about what is counted', () => {
  for (const { text } of DASHBOARDS) assert.doesNotMatch(text, /"unit": "(cps|ops|reqps|rps|wps|iops)"/);
});
