import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FollowedLogs, followLogs } from '../../support/trace/followed-logs.js';

const LINE = 'kvm_run_exit cpu_index 0, reason 2\n';
const WRITER = join(import.meta.dirname, '../../support/trace/log-writer.js');

/** Runs the writer in a process of its own and follows its log meanwhile. */
async function runWriter(
  logs: FollowedLogs,
  ...args: readonly string[]
): Promise<{ written: number; rotations: number; cpuSeconds: number }> {
  const child = spawn(process.execPath, [WRITER, join(logs.folder, 'vm.log'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  let output = '';
  child.stdout?.on('data', (text) => {
    output += text;
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  let ended = false;
  void closed.then(() => {
    ended = true;
  });
  const cpu = process.cpuUsage();
  while (!ended) {
    await logs.run(50);
    // The channel is closed once the writer has ended.
    if (child.connected) child.send(Date.now(), () => {});
  }
  const { user, system } = process.cpuUsage(cpu);
  const [written = 0, rotations = 0] = output.trim().split(' ').map(Number);
  return { written, rotations, cpuSeconds: (user + system) / 1e6 };
}

test('50,000 lines a second for 10 s, renamed every 1.5 s: every line is counted once', {
  timeout: 300_000,
}, async (t) => {
  const logs = followLogs(t);
  const { written, rotations, cpuSeconds } = await runWriter(logs, '50000', '10', 'rename', '1500');
  assert.ok(rotations >= 6 && written > 400_000, `${written} lines, ${rotations} rotations`);
  assert.equal(await logs.until(written), written);
  assert.deepEqual([logs.sink.unknownLosses, [...logs.sink.malformedKinds], logs.problems], [0, [], []]);
  t.diagnostic(`${written} lines, ${rotations} rotations, ${((cpuSeconds / 10) * 100).toFixed(1)} % CPU`);
});

test('copytruncate at 50,000 lines a second: few lines are lost, the loss is reported, no line is counted twice', {
  timeout: 300_000,
}, async (t) => {
  const logs = followLogs(t);
  const { written, rotations } = await runWriter(logs, '50000', '6', 'truncate', '1500');
  await logs.run(1000);
  const lost = written - logs.lines();
  t.diagnostic(`${written} lines, ${rotations} truncations, ${lost} lost`);
  // Lines are lost between the last poll and the truncation: 50 ms at most, and the time that reading takes.
  assert.ok(lost >= 0 && lost <= rotations * 50_000 * 0.2, `${lost} of ${written} lost`);
  assert.equal(logs.sink.unknownLosses, rotations);
});

test('lines that exist at the start do not count, but a line that is still being written does', async (t) => {
  const logs = followLogs(t, '*.log', (folder) => {
    writeFileSync(join(folder, 'vm.log'), LINE.repeat(100) + LINE.slice(0, 20));
  });
  await logs.run(100);
  assert.equal(logs.lines(), 0);
  appendFileSync(join(logs.folder, 'vm.log'), LINE.slice(20) + LINE.repeat(5));
  assert.equal(await logs.until(6), 6);
});

test('a file that appears later is read from its beginning', async (t) => {
  const logs = followLogs(t, 'vm.log');
  assert.equal(logs.files.up, false);
  writeFileSync(join(logs.folder, 'vm.log'), LINE.repeat(7));
  assert.equal(await logs.until(7), 7);
  assert.equal(logs.files.up, true);
});

/** Changes of a file between two writes. */
const CHANGES: readonly (readonly [string, (path: string) => void])[] = [
  ['vanishes and comes back', (path) => rmSync(path)],
  ['is renamed, and comes back', (path) => renameSync(path, `${path}.1`)],
  [
    'is replaced by a new one at once',
    (path) => {
      writeFileSync(`${path}.new`, '');
      renameSync(`${path}.new`, path);
    },
  ],
  [
    'becomes a directory for a while',
    (path) => {
      rmSync(path);
      mkdirSync(path);
    },
  ],
  ['is truncated', (path) => truncateSync(path)],
];

for (const [what, change] of CHANGES) {
  test(`a file that ${what} is still followed`, async (t) => {
    const logs = followLogs(t);
    const path = join(logs.folder, 'vm.log');
    writeFileSync(path, LINE.repeat(10));
    assert.equal(await logs.until(10), 10);
    change(path);
    await logs.run(300);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) rmSync(path, { recursive: true });
    appendFileSync(path, LINE.repeat(3));
    assert.equal(await logs.until(13), 13);
    appendFileSync(path, LINE.repeat(4));
    assert.equal(await logs.until(17), 17);
  });
}

test('lines written to the renamed file count, also when the name has a new, empty file', async (t) => {
  const logs = followLogs(t);
  const path = join(logs.folder, 'vm.log');
  const file = openSync(path, 'a');
  writeSync(file, LINE);
  assert.equal(await logs.until(1), 1);
  renameSync(path, `${path}.1`);
  writeFileSync(path, '');
  await logs.run(200);
  writeSync(file, LINE.repeat(5));
  assert.equal(await logs.until(6), 6);
});

test('files that rotation makes are not counted again, although the pattern matches them', async (t) => {
  const logs = followLogs(t, '*');
  const path = join(logs.folder, 'vm.log');
  writeFileSync(path, LINE.repeat(10));
  assert.equal(await logs.until(10), 10);
  renameSync(path, `${path}.1`);
  writeFileSync(path, LINE.repeat(2));
  writeFileSync(`${path}.2.gz`, LINE);
  writeFileSync(`${path}-20261123`, LINE.repeat(10));
  assert.equal(await logs.until(12), 12);
});

test('characters of several bytes may be cut anywhere', async (t) => {
  const logs = followLogs(t);
  const path = join(logs.folder, 'vm.log');
  writeFileSync(path, '');
  await logs.run(100);
  const bytes = Buffer.from(`Gerät „über“ 🙂\n${LINE}`);
  const file = openSync(path, 'a');
  for (const byte of bytes) {
    writeSync(file, Buffer.from([byte]));
    logs.files.poll(performance.now() + 1000, performance.now());
    await logs.run(1);
  }
  assert.equal(await logs.until(1), 1);
  assert.deepEqual([...logs.sink.malformedKinds], []);
});

test('a line that never ends takes no memory, and the next line counts', {
  timeout: 300_000,
}, async (t: TestContext) => {
  const logs = followLogs(t);
  const path = join(logs.folder, 'vm.log');
  writeFileSync(path, '');
  await logs.run(100);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 64; i++) {
    appendFileSync(path, Buffer.alloc(1 << 20, 'x'));
    await logs.run(50);
  }
  const grown = process.memoryUsage().rss - before;
  appendFileSync(path, `\n${LINE}`);
  assert.equal(await logs.until(1), 1);
  assert.deepEqual([...logs.sink.malformedKinds], [['line-too-long', 1]]);
  assert.ok(grown < 48 << 20, `${grown} bytes more`);
});

test('a burst of a million lines is counted completely', { timeout: 300_000 }, async (t) => {
  const logs = followLogs(t);
  const path = join(logs.folder, 'vm.log');
  const chunk = LINE.repeat(10_000);
  const file = openSync(path, 'a');
  for (let i = 0; i < 100; i++) writeSync(file, chunk);
  assert.equal(await logs.until(1_000_000), 1_000_000);
});

test('a path that is not a regular file is reported once', async (t) => {
  const logs = followLogs(t, '*', (folder) => mkdirSync(join(folder, 'folder')));
  logs.scan();
  await logs.run(200);
  assert.equal(logs.problems.length, 1);
  assert.match(logs.problems[0] ?? '', /folder: not a regular file/);
});

test('a process that is blocked for seconds while it reads loses nothing', async (t) => {
  const logs = followLogs(t);
  const path = join(logs.folder, 'vm.log');
  // Long enough that the blocks that `tail` delivers end within a line.
  writeFileSync(path, LINE.repeat(400_000));
  logs.scan();
  logs.files.poll(performance.now() + 1000, performance.now());
  while (logs.lines() === 0) await sleep(1);
  assert.ok(logs.lines() < 400_000, 'too late: all was read');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3100);
  logs.files.poll(performance.now() + 2000, performance.now());
  assert.equal(await logs.until(400_000), 400_000);
  assert.deepEqual([logs.sink.unknownLosses, [...logs.sink.malformedKinds]], [0, []]);
});
