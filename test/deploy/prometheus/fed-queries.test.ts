/** Queries that have no result in the demo, tested by promtool on synthetic series, with the recording rules. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fedUnitTest } from '../../support/prometheus/fed-unit-test.js';
import { needs } from '../../support/requirements.js';
import { NOT_IN_DEMO } from './not-in-demo.js';

for (const fed of NOT_IN_DEMO) {
  test(`${fed.dashboard}: ${fed.query}, which has no result in the demo because ${fed.why}`, needs('promtool'), () => {
    const folder = mkdtempSync(join(tmpdir(), 'promtool-'));
    try {
      const file = join(folder, 'query.json');
      writeFileSync(file, fedUnitTest(fed));
      const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
      assert.equal(status, 0, stdout + stderr);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
