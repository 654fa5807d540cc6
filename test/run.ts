/**
 * Runs all tests. Files of test/live count exits and times of the whole host, so they run one at a time. The other
 * files run side by side after them, so that the summary at the end is that of most tests. The exit code is 1 if a
 * test fails.
 *
 *   node build/test/run.js                 all
 *   node build/test/run.js count web       those in some folders
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const FOLDER = import.meta.dirname;
const LIVE = 'live/';

const folders = process.argv.slice(2);
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => folders.length === 0 || folders.includes(file.split('/')[0] ?? ''))
  .sort();

/** Runs these files, and returns true if all of their tests pass. */
function run(paths: readonly string[], concurrency: number): boolean {
  if (paths.length === 0) return true;
  const args = ['--enable-source-maps', '--test', `--test-concurrency=${concurrency}`];
  const { status } = spawnSync(process.execPath, [...args, ...paths.map((path) => join(FOLDER, path))], {
    stdio: 'inherit',
  });
  return status === 0;
}

const live = files.filter((file) => file.startsWith(LIVE));
const parallel = files.filter((file) => !file.startsWith(LIVE));
const passed = [run(live, 1), run(parallel, Math.max(2, availableParallelism() - 1))];
process.exitCode = passed.every(Boolean) ? 0 : 1;
