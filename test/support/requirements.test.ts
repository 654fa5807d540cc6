import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const MODULE = pathToFileURL(join(import.meta.dirname, 'requirements.js')).href;

/** Runs a test that needs something which is (not) there, under a demand. */
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
  { name: 'runs with what is there', available: true, demand: '', want: { status: 0, ran: true, skipped: false } },
  { name: 'is skipped without', available: false, demand: '', want: { status: 0, ran: false, skipped: true } },
  {
    name: 'is skipped without, if others are demanded',
    available: false,
    demand: 'root,kvm',
    want: { status: 0, ran: false, skipped: true },
  },
  {
    name: 'fails where it is demanded',
    available: false,
    demand: 'kvm, promtool',
    want: { status: 1, ran: false, skipped: true },
  },
  {
    name: 'runs where it is demanded and there',
    available: true,
    demand: 'promtool',
    want: { status: 0, ran: true, skipped: false },
  },
];

for (const { name, available, demand, want } of ROWS)
  test(`a test that requires something ${name}`, () => assert.deepEqual(run(available, demand), want));
