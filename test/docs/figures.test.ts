/** Measured figures on pages come from committed runs, and the runs hold what the pages promise. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RESIDENT_LIMIT_MB, SCRAPE_LIMIT_MS } from '../../docs/tools/bench-plots.js';
import type { SideBySide } from '../../docs/tools/overhead-table.js';
import type { ScaleFigures } from '../../docs/tools/scale-table.js';
import type { SoakReport } from '../soak/soak.js';
import { readJson } from '../support/fixtures.js';
import { pages } from '../support/markdown.js';
import { ROOT } from '../support/paths.js';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const run = <Report>(name: string): Report => JSON.parse(read(`docs/bench/${name}.json`));

test('a measured figure with its date stands in a block that is generated from a committed run', () => {
  const GENERATED = /<!-- begin generated: [\s\S]*?<!-- end generated: .*-->/g;
  // The figures of the advice were measured by tests, whose names stand beside them.
  const dated = pages()
    .filter(({ path }) => /^(?:README|CONTRIBUTING|docs\/(?!advice\/))/.test(path))
    .flatMap(({ path, text }) =>
      text
        .replaceAll(GENERATED, '')
        .split('\n')
        .filter((line) => /\b20\d\d-\d\d-\d\d\b/.test(line))
        .map((line) => `${path}: ${line}`),
    );
  assert.deepEqual(dated, []);
});

test('VMs whose series fit into the default limit take no more than the marks of docs/scale.md', () => {
  const { sizes } = run<ScaleFigures>('cost-by-series');
  const fitting = sizes.filter(({ vms, durations }) => vms <= (durations ? 390 : 1000));
  assert.ok(fitting.some(({ vms, durations }) => vms === 1000 && !durations));
  for (const { vms, textMs, openMetricsMs, maxResidentBytes } of fitting) {
    assert.ok(Math.max(textMs, openMetricsMs) < SCRAPE_LIMIT_MS, `${vms} VMs: ${textMs} ms, ${openMetricsMs} ms`);
    assert.ok(maxResidentBytes < RESIDENT_LIMIT_MB * 1e6, `${vms} VMs: ${maxResidentBytes} bytes`);
  }
});

test('at the full speed of two guests, the agent lost no event', () => {
  const own = run<SideBySide>('side-by-side').rows.filter(({ tool }) => tool.startsWith('kvm-exit-exporter'));
  assert.ok(own.length >= 4);
  assert.deepEqual(
    own.filter(({ lost }) => lost > 0),
    [],
  );
});

test('every condition of an hour of soak holds', () => {
  const { minutes, verdicts } = run<SoakReport>('soak');
  assert.equal(minutes, 60);
  assert.deepEqual(
    verdicts.filter(({ holds }) => !holds),
    [],
  );
});

test("the exits on docs/figures.md are those of the demo's whole recording", () => {
  const { exits } = readJson<{ exits: readonly { vm: string; layer: string; reason: string; count: number }[] }>(
    'demo/full/expected.json',
  );
  const lines = read('docs/figures.md').matchAll(
    /^ {4}kvm_exits_total\{vm="legacy-db",layer="(\w+)",reason="(\w+)"\} +(\d+)$/gm,
  );
  const shown = Array.from(lines, ([, layer, reason, count]) => ({ layer, reason, count: Number(count) }));
  assert.equal(shown.length, 2);
  for (const { layer, reason, count } of shown) {
    const own = exits.filter((row) => row.vm === 'legacy-db' && row.layer === layer && row.reason === reason);
    assert.deepEqual(
      own.map((row) => row.count),
      [count],
    );
  }
  const [atKvm = 0, atQemu = 0] = shown.map(({ count }) => count);
  const thousands = (count: number) => count.toLocaleString('en-US');
  for (const figure of [atKvm, atQemu, atKvm - atQemu])
    assert.match(read('docs/figures.md'), new RegExp(`\\b${thousands(figure)}\\b`));
});
