/** The picture of the README shows figures in the units of the dashboard, as Grafana does. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { ROOT } from '../support/paths.js';

const PAGE = readFileSync(join(ROOT, 'docs/tools/picture/dashboard.html'), 'utf8');

test('the picture formats each unit as Grafana does', () => {
  const source = /^function formatted\([\s\S]*?^}$/m.exec(PAGE)?.[0] ?? '';
  const formatted: (value: number, unit: string) => string = runInNewContext(`${source}; formatted`);
  // https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/: "custom units"
  assert.equal(formatted(525, 'suffix: exits/s'), '525 exits/s');
  assert.equal(formatted(1500, 'suffix:/s'), '1.50 K/s');
  assert.equal(formatted(0.66, 'percentunit'), '66 %');
  assert.equal(formatted(0.0064, 's'), '6.4 ms');
});
