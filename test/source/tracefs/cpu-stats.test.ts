import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseStats } from '../../../src/decode/ftrace/buffer-stats.js';
import { readSavedOverruns } from '../../../src/source/tracefs/cpu-stats.js';

/** From a recording of Linux 6.18 (ftrace-raw/d3-overrun), except the count of `dropped events`. */
const STATS = `entries: 1946
overrun: 22097
commit overrun: 0
bytes: 67508
oldest event ts:  2656.920775
now ts:  2657.527428
dropped events: 3
read events: 12
`;

test('parseStats reads the counts of waiting, read and lost events', () => {
  assert.deepEqual(parseStats(STATS), { entries: 1946, bytes: 67_508, read: 12, lost: 22_100 });
  assert.deepEqual(parseStats('other text\n'), { entries: 0, bytes: 0, read: 0, lost: 0 });
});

test('readSavedOverruns finds stats/cpuN and copies of per_cpu/cpuN/stats', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'stats-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  assert.deepEqual(readSavedOverruns(folder), new Map());
  mkdirSync(join(folder, 'per_cpu/cpu1'), { recursive: true });
  mkdirSync(join(folder, 'per_cpu/cpu2'));
  writeFileSync(join(folder, 'per_cpu/cpu1/stats'), STATS);
  mkdirSync(join(folder, 'stats'));
  writeFileSync(join(folder, 'stats/cpu10'), STATS.replace('22097', '0'));
  writeFileSync(join(folder, 'stats/README'), STATS);
  assert.deepEqual(
    readSavedOverruns(folder),
    new Map([
      [10, 3],
      [1, 22_100],
    ]),
  );
});
