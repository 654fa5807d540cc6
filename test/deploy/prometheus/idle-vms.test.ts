/** A VM that makes no exits has no share of exits that reach QEMU: 0/0 is not shown as NaN. Tested by promtool. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../support/paths.js';
import { DASHBOARDS, filled } from '../../support/prometheus/dashboards.js';
import { needs } from '../../support/requirements.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const SHARE = /^ *sum by \(vm\) \(rate\(kvm_exits_total\{layer="qemu"[^}]*\}.*?\/ .*?$/gms;

/** The queries of a page that divide exits to QEMU by exits to KVM. */
function sharesOn(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const blocks = text.split(/```\w*\n|\n\n/);
  return blocks.flatMap((block) => block.match(SHARE) ?? []);
}

const divisions = DASHBOARDS.flatMap(({ title, panels }) =>
  panels.flatMap((panel) =>
    (panel.targets ?? [])
      .filter(({ expr }) => / \/ /.test(expr))
      .map(({ expr }) => ({
        where: `${title}: ${panel.title}`,
        expr: filled(expr, { vm: 'idle', rateInterval: '4m' }),
      })),
  ),
);
const pages = ['README.md', 'docs/figures.md'].flatMap((where) => sharesOn(where).map((expr) => ({ where, expr })));

/** The same value at each scrape. */
const flat = (name: string, labels: string, value: number) => ({
  series: `${name}{job="kvm-exit-exporter",instance="host-1",${labels}}`,
  values: `${value}x30`,
});

const INPUT = [
  flat('kvm_exits_total', 'vm="idle",vcpu="0",layer="kvm",reason="hlt"', 10),
  flat('kvm_exits_total', 'vm="idle",vcpu="0",layer="qemu",reason="KVM_EXIT_IO"', 5),
  flat('kvm_exit_duration_seconds_sum', 'vm="idle",layer="qemu",reason="KVM_EXIT_IO"', 1),
  flat('kvm_exit_duration_seconds_count', 'vm="idle",layer="qemu",reason="KVM_EXIT_IO"', 5),
  flat('kvm_exit_exporter_events_total', 'source="tracefs"', 15),
  flat('kvm_exit_exporter_drains_total', 'source="tracefs"', 3),
  flat('kvm_exit_exporter_drain_seconds_total', 'source="tracefs"', 1),
];

test('the pages and dashboards have such queries', () => {
  assert.ok(pages.length >= 2 && divisions.length >= 5, `${pages.length} and ${divisions.length}`);
});

for (const { where, expr } of [...pages, ...divisions])
  test(`${where}: a division has no result for an idle VM`, needs('promtool'), (t) => {
    const file = join(temporaryFolder(t, 'promtool'), 'idle.json');
    const query = { expr, eval_time: '20m', exp_samples: [] };
    const tests = [{ interval: '1m', input_series: INPUT, promql_expr_test: [query] }];
    writeFileSync(file, JSON.stringify({ evaluation_interval: '1m', tests }));
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    assert.equal(status, 0, stdout + stderr);
  });
