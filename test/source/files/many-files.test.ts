/** Folders of logs that any user may fill: with many files, busy files, huge files, files of several names. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { FileFollower } from '../../../src/source/files/file-follower.js';
import { skipBacklog } from '../../../src/source/files/file-follower.js';
import { expandGlob } from '../../../src/source/files/glob.js';
import { OpenFiles } from '../../../src/source/files/open-files.js';
import { PatternFollower } from '../../../src/source/files/pattern-follower.js';
import { isSharedFolder } from '../../../src/source/files/shared-folder.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { followLogs } from '../../support/trace/followed-logs.js';

const LINE = 'kvm_run_exit cpu_index 0, reason 2\n';
const TERABYTE = 2 ** 40;

/**
 * Follows files that always have more to read and use the time that they get, by a clock that only they move. Returns
 * the names that were polled.
 */
function followBusyFiles(t: TestContext, names: readonly string[]): { files: PatternFollower; polled: string[] } {
  let nowMs = 1000;
  t.mock.method(performance, 'now', () => nowMs);
  const folder = temporaryFolder(t, 'busy-files');
  for (const name of names) writeFileSync(join(folder, name), '');
  const polled: string[] = [];
  const follow = (path: string): FileFollower => ({
    poll(_nowMs, deadlineMs) {
      polled.push(path.slice(folder.length + 1));
      nowMs = Math.max(nowMs, deadlineMs);
    },
    bytesRead: 0,
    activeMs: 0,
    busy: true,
    pendingBytes: 0,
    close() {},
  });
  const files = new PatternFollower({ patterns: [join(folder, '*')], follow, onProblem: assert.fail });
  t.after(() => files.close());
  files.scan(performance.now());
  polled.length = 0;
  return { files, polled };
}

test('busy files take turns, within the time of a poll', (t) => {
  const names = Array.from({ length: 30 }, (_, i) => `f${i}`);
  const { files, polled } = followBusyFiles(t, names);
  files.poll(performance.now(), performance.now() + 20);
  assert.ok(polled.length < 10, `${polled.length} files in one poll`);
  for (let polls = 0; polls < 30; polls++) files.poll(performance.now() + 1000, performance.now() + 20);
  assert.deepEqual([...new Set(polled)].sort(), names.toSorted());
});

test('a poll whose time is up reads nothing, and the files stay due', (t) => {
  const { files, polled } = followBusyFiles(t, ['a', 'b']);
  const nowMs = performance.now();
  assert.ok(files.poll(nowMs + 1000, nowMs - 1) <= nowMs + 1010);
  assert.deepEqual(polled, []);
});

test('a log of a terabyte of holes costs no reading, is reported as a loss, and its next lines count', async (t) => {
  const logs = followLogs(t, '*');
  const path = join(logs.folder, 'vm.log');
  writeFileSync(path, LINE.repeat(3));
  assert.equal(await logs.until(3), 3);
  truncateSync(path, TERABYTE);
  await logs.run(200);
  appendFileSync(path, `\n${LINE.repeat(5)}`);
  assert.equal(await logs.until(8), 8);
  assert.equal(logs.sink.unknownLosses, 1);
});

test('of a backlog, the last 256 MiB are read', () => {
  assert.equal(skipBacklog({ size: 2 ** 30, blocks: 2 ** 30 / 512 }), 2 ** 30 - 2 ** 28);
  assert.equal(skipBacklog({ size: TERABYTE, blocks: 8 }), TERABYTE);
});

test('a pattern looks at a bounded number of entries, and says so', (t) => {
  const folder = temporaryFolder(t, 'entries');
  for (let i = 0; i < 20_100; i++) writeFileSync(join(folder, `${i}.txt`), '');
  const problems: string[] = [];
  expandGlob(join(folder, '*.log'), (_path, error) => problems.push(String(error)));
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /only 20000 entries/);
});

test('one user has at most half of the places, root has all', () => {
  const files = new OpenFiles(10);
  const follower = {} as FileFollower;
  let inode = 0;
  const openAll = (uid: number) => {
    let opened = 0;
    for (; files.hasRoomFor(uid); opened++) files.add({ fd: 0, id: `1:${inode++}`, uid, follower });
    return opened;
  };
  assert.deepEqual([openAll(1000), openAll(1001), openAll(0)], [5, 5, 0]);
  for (let id = 0; id < 5; id++) files.delete({ fd: 0, id: `1:${id}`, uid: 1000, follower });
  assert.deepEqual([openAll(1001), openAll(0)], [0, 5]);
});

test('a file with several names is followed only in a folder of our own', async (t) => {
  const logs = followLogs(t, '*/*.log', (folder) => {
    mkdirSync(join(folder, 'own'));
    mkdirSync(join(folder, 'shared'));
    chmodSync(join(folder, 'shared'), 0o1777);
    assert.deepEqual(
      ['own', 'shared'].map((name) => isSharedFolder(join(folder, name))),
      [false, true],
    );
  });
  for (const name of ['own', 'shared']) {
    const path = join(logs.folder, name, 'vm.log');
    writeFileSync(path, LINE);
    linkSync(path, `${path}.link`);
  }
  assert.equal(await logs.until(1), 1);
  assert.match(logs.problems.join(), /shared\/vm\.log: has several names/);
  rmSync(join(logs.folder, 'shared/vm.log.link'));
  assert.equal(await logs.until(2), 2);
});

test('a file that every user may write to is not followed', async (t) => {
  const logs = followLogs(t);
  const path = join(logs.folder, 'vm.log');
  writeFileSync(path, LINE);
  chmodSync(path, 0o666);
  await logs.run(200);
  assert.match(logs.problems.join(), /vm\.log: every user may write to it/);
  chmodSync(path, 0o664);
  assert.equal(await logs.until(1), 1);
});

test('a file is still followed after the name under which it was found is removed', async (t) => {
  const logs = followLogs(t);
  const [first, second] = [join(logs.folder, 'a.log'), join(logs.folder, 'b.log')];
  writeFileSync(first, LINE);
  linkSync(first, second);
  assert.equal(await logs.until(1), 1);
  rmSync(first);
  await logs.run(100);
  // The file is closed when nothing was written for 30 s.
  const pollAfter = (ms: number) => logs.files.poll(performance.now() + ms, Number.POSITIVE_INFINITY);
  pollAfter(60_000);
  pollAfter(120_000);
  appendFileSync(second, LINE.repeat(2));
  pollAfter(180_000);
  assert.equal(await logs.until(3), 3);
});

test('links, on the way too, are not followed out of the folder', async (t) => {
  const outside = temporaryFolder(t, 'outside');
  writeFileSync(join(outside, 'vm.log'), '');
  const logs = followLogs(t, '*/*.log', (folder) => {
    mkdirSync(join(folder, 'vms'));
    symlinkSync(outside, join(folder, 'link'));
    symlinkSync(join(outside, 'vm.log'), join(folder, 'vms/vm.log'));
  });
  appendFileSync(join(outside, 'vm.log'), LINE);
  await logs.run(300);
  assert.equal(logs.lines(), 0);
});

test('new files are followed even if the work before a scan took long', (t) => {
  const logs = followLogs(t);
  writeFileSync(join(logs.folder, 'vm.log'), LINE);
  logs.files.scan(performance.now() - 10_000);
  assert.equal(logs.files.ids().size, 1);
});
