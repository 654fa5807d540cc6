/** The `demo` command, as a new user runs it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { secondsUntil } from '../support/cpu-wait.js';
import { readFixture } from '../support/fixtures.js';
import { PROGRAM, PROGRAM_ARGS, ROOT } from '../support/paths.js';
import { HANG_MS } from '../support/patience.js';
import { type Family, parseMetrics } from '../support/prometheus/metrics-text.js';

class Demo {
  readonly process: ChildProcess;
  readonly ended: Promise<{ status: number | null; signal: NodeJS.Signals | null }>;
  log = '';

  constructor(t: TestContext, address: string) {
    this.process = spawn(PROGRAM, [...PROGRAM_ARGS, 'demo', `--web.listen-address=${address}`]);
    t.after(() => this.process.kill('SIGKILL'));
    this.process.stderr?.on('data', (text) => {
      this.log += text;
    });
    this.ended = new Promise((resolve) => {
      this.process.on('close', (status, signal) => resolve({ status, signal }));
    });
  }

  /** URL of the metrics, from the log. */
  async url(): Promise<string> {
    for (let tries = 0; tries < 1200; tries++) {
      const url = /url=(http:\/\/\S+)/.exec(this.log)?.[1];
      if (url !== undefined) return url;
      await sleep(50);
    }
    throw new Error(`demo does not serve: ${this.log}`);
  }
}

async function scrape(url: string): Promise<Map<string, Family>> {
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  return parseMetrics(await response.text());
}

/** Sum of a family's samples, by one of its labels. */
function sums(families: Map<string, Family>, name: string, label: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const { labels, value } of families.get(name)?.samples ?? []) {
    const key = labels.get(label) ?? '';
    found.set(key, (found.get(key) ?? 0) + value);
  }
  return found;
}

test('demo serves counters that rise, and states that it is a demonstration', async (t) => {
  const demo = new Demo(t, '127.0.0.1:0');
  const url = await demo.url();
  assert.match(url, /^http:\/\/127\.0\.0\.1:[1-9]\d*\/metrics$/);

  let second = await scrape(url);
  for (const [name, label, keys] of [
    ['kvm_exits_total', 'vm', ['web-1', 'legacy-db']],
    ['kvm_exits_total', 'layer', ['kvm', 'qemu']],
    ['kvm_tracepoint_hits_total', 'tracepoint', ['kvm_exit', 'kvm_userspace_exit']],
  ] as const)
    for (const key of keys) {
      const seen = new Set<number>();
      // A value above 0, and then a higher one.
      for (const endMs = performance.now() + HANG_MS; seen.size < 2; await sleep(200)) {
        assert.ok(performance.now() < endMs, `${name} of ${key} does not rise: ${[...seen]}`);
        second = await scrape(url);
        const value = sums(second, name, label).get(key) ?? 0;
        assert.ok(value >= Math.max(0, ...seen), `${name} of ${key} falls`);
        if (value > 0) seen.add(value);
      }
    }

  const info = second.get('kvm_vm_info')?.samples.map(({ labels }) => [labels.get('vm'), labels.get('demo')]) ?? [];
  assert.deepEqual(info.sort(), [
    ['legacy-db', 'true'],
    ['web-1', 'true'],
  ]);

  const page = await fetch(new URL('/', url));
  assert.equal(page.status, 200);
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
  assert.match(await page.text(), /This is a demonstration/);
  assert.match(demo.log, /level=warn msg="This is a demonstration/);
});

test('demo shows within its first seconds what costs, and what to change', async (t) => {
  const demo = new Demo(t, '127.0.0.1:0');
  const url = await demo.url();
  await sleep(15_000);
  const json = async (path: string) => (await fetch(new URL(path, url))).json() as Promise<Record<string, never[]>>;
  // A busy machine may not have played that much yet.
  for (let tries = 0; tries < 300 && ((await json('/api/advice')).findings ?? []).length === 0; tries++)
    await sleep(200);
  const { vms = [] } = await json('/api/vms');
  const shares = new Map(
    vms.map((row: { vm: string; share_reaching_qemu: number }) => [row.vm, row.share_reaching_qemu]),
  );
  // The recording's README: of a thousand exits of web-1 three reach QEMU, and two thirds of those of legacy-db.
  assert.ok((shares.get('web-1') ?? 1) < 0.04, `web-1: ${shares.get('web-1')}`);
  assert.ok((shares.get('legacy-db') ?? 0) > 0.6, `legacy-db: ${shares.get('legacy-db')}`);
  const { findings = [] } = await json('/api/advice');
  assert.deepEqual(
    findings.map(({ vm, advice }) => [vm, advice]),
    [['legacy-db', 'emulated-disk']],
  );
  assert.match(await (await fetch(new URL('/', url))).text(), /emulated CPU/);
});

test('the recording is a part of the one that other tools counted', () => {
  const whole = readFixture('demo/full/trace_pipe.txt').toString('latin1');
  const part = gunzipSync(readFileSync(join(ROOT, 'deploy/demo/recording/trace_pipe.txt.gz'))).toString('latin1');
  assert.ok(part.length > 1e6 && whole.includes(`\n${part}`));
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} ends demo at once and without messages, even while a client is connected`, async (t) => {
    const demo = new Demo(t, '127.0.0.1:0');
    const url = await demo.url();
    // fetch keeps its connection open.
    await (await fetch(url)).text();
    const seconds = secondsUntil(demo.ended, demo.process.pid);
    demo.process.kill(signal);
    assert.deepEqual(await demo.ended, { status: 0, signal: null });
    assert.ok((await seconds) < 2, `demo took ${await seconds} s to end`);
    assert.doesNotMatch(demo.log, /Error|^\s+at /m);
    await assert.rejects(fetch(url), 'demo still serves');
  });
}

test('demo reports in one line that it cannot listen', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => {
    other.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => other.close());
  const address = other.address();
  assert.ok(address !== null && typeof address === 'object');
  const demo = new Demo(t, `127.0.0.1:${address.port}`);
  assert.deepEqual(await demo.ended, { status: 2, signal: null });
  const lines = demo.log.split('\n').filter((line) => line.startsWith('kvm-exit-exporter: '));
  assert.equal(lines.length, 1, demo.log);
  assert.match(lines[0] ?? '', /cannot listen on 127\.0\.0\.1:\d+: another program listens there already; /);
  assert.doesNotMatch(demo.log, /^\s+at /m);
});

test('the names of its VMs are those in the recorded /proc', () => {
  const folder = join(ROOT, 'deploy/demo/recording');
  const read = (path: string) => readFileSync(join(folder, path), 'utf8');
  const notes = read('vms.jsonl').trimEnd().split('\n');
  assert.deepEqual(notes.map((line) => String(JSON.parse(line).pid)).sort(), readdirSync(join(folder, 'proc')).sort());
  for (const { pid, name, uuid, startTime, threads } of notes.map((line) => JSON.parse(line))) {
    const args = read(`proc/${pid}/cmdline`).split('\0');
    assert.match(args[args.indexOf('-name') + 1] ?? '', new RegExp(`(?:^|guest=)${name}(?:,|$)`));
    assert.equal(args[args.indexOf('-uuid') + 1], uuid);
    assert.equal(Number(read(`proc/${pid}/stat`).split(') ').at(-1)?.split(' ')[19]), startTime);
    const tasks = readdirSync(join(folder, 'proc', String(pid), 'task'));
    assert.deepEqual(
      threads,
      Object.fromEntries(tasks.map((tid) => [tid, read(`proc/${pid}/task/${tid}/comm`).trimEnd()])),
    );
  }
});
