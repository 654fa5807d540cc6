/**
 * Runs all tests. Files of test/live count exits and times of the whole host, so they run one at a time. The other
 * files run side by side after them, so that the summary at the end is that of most tests. The exit code is 1 if a
 * test fails, and the last lines name all tests that failed.
 *
 *   node build/test/run.js                 all
 *   node build/test/run.js web e2e/tls     those of a folder and of a file
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

const FOLDER = import.meta.dirname;
const LIVE = 'live/';

const wanted = process.argv.slice(2);
/** Files that run side by side. The variable is for tests that mostly wait. */
const CONCURRENCY = Number(process.env.TEST_CONCURRENCY ?? Math.max(2, availableParallelism() - 1));
const all = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .sort();
const isOf = (file: string, name: string) => file === `${name}.test.js` || file.startsWith(`${name}/`);
const unknown = wanted.filter((name) => !all.some((file) => isOf(file, name)));
if (unknown.length > 0) throw new Error(`no such folder or test: ${unknown.join(', ')}`);
const files = wanted.length === 0 ? all : all.filter((file) => wanted.some((name) => isOf(file, name)));

const folder = mkdtempSync(join(tmpdir(), 'failed-tests-'));

/** Runs these files, and returns a line for each test that failed, or the runner's exit code if it names none. */
function run(paths: readonly string[], concurrency: number): string {
  if (paths.length === 0) return '';
  const failed = join(folder, `${concurrency}`);
  const { status } = spawnSync(
    process.execPath,
    [
      '--enable-source-maps',
      '--test',
      `--test-concurrency=${concurrency}`,
      '--test-reporter=tap',
      '--test-reporter-destination=stdout',
      `--test-reporter=${join(FOLDER, 'support/list-failures.js')}`,
      `--test-reporter-destination=${failed}`,
      ...paths.map((path) => join(FOLDER, path)),
    ],
    { stdio: 'inherit' },
  );
  if (status === 0) return '';
  return readFileSync(failed, 'utf8') || `the test runner ended with ${status}\n`;
}

const live = files.filter((file) => file.startsWith(LIVE));
const parallel = files.filter((file) => !file.startsWith(LIVE));
const failures = run(live, 1) + run(parallel, CONCURRENCY);
rmSync(folder, { recursive: true });
if (failures !== '') {
  process.stdout.write(`\nFailed tests:\n${failures}`);
  process.exitCode = 1;
}
