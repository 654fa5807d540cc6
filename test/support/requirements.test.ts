import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { allOf } from './requirements.js';

const MODULE = pathToFileURL(join(import.meta.dirname, 'requirements.js')).href;

/** Runs, in a process of its own, a test that needs promtool. `demand` is the value of KVM_EXIT_EXPORTER_REQUIRE. */
function run(available: boolean, demand: string): { status: number | null; ran: boolean; skipped: boolean } {
  const script = `
    import { test } from 'node:test';
    import { skipUnless } from '${MODULE}';
    test('body', skipUnless('promtool', ${available}), () => console.log('THE BODY RAN'));`;
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...env, KVM_EXIT_EXPORTER_REQUIRE: demand },
  });
  return { status, ran: stdout.includes('THE BODY RAN'), skipped: /needs promtool/.test(stdout) };
}

const ROWS = [
  { name: 'runs if it is available', available: true, demand: '', want: { status: 0, ran: true, skipped: false } },
  { name: 'is skipped if it is missing', available: false, demand: '', want: { status: 0, ran: false, skipped: true } },
  {
    name: 'is skipped if it is missing and only other requirements are demanded',
    available: false,
    demand: 'root,kvm',
    want: { status: 0, ran: false, skipped: true },
  },
  {
    name: 'fails if it is missing and demanded',
    available: false,
    demand: 'kvm, promtool',
    want: { status: 1, ran: false, skipped: true },
  },
  {
    name: 'runs if it is available and demanded',
    available: true,
    demand: 'promtool',
    want: { status: 0, ran: true, skipped: false },
  },
];

for (const { name, available, demand, want } of ROWS)
  test(`a test with a requirement ${name}`, () => assert.deepEqual(run(available, demand), want));

test('a test with several requirements is skipped if any of them is missing, and keeps its other options', () => {
  const [met, unmet] = [{ skip: false, timeout: 7 } as const, { skip: 'needs x' } as const];
  assert.deepEqual(allOf(met, unmet), { skip: 'needs x', timeout: 7 });
  assert.deepEqual(allOf(unmet, met), { skip: 'needs x', timeout: 7 });
  assert.deepEqual(allOf(met, met), met);
});
