/** The `demo` command, as a new user runs it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAIN } from '../support/paths.js';
import { type Family, parseMetrics } from '../support/prometheus/metrics-text.js';

class Demo {
  readonly process: ChildProcess;
  readonly ended: Promise<{ status: number | null; signal: NodeJS.Signals | null }>;
  log = '';

  constructor(t: TestContext, address: string) {
    this.process = spawn(process.execPath, [MAIN, 'demo', `--web.listen-address=${address}`]);
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
    for (let tries = 0; tries < 200; tries++) {
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

  await sleep(1000);
  const first = await scrape(url);
  await sleep(3000);
  const second = await scrape(url);
  for (const [name, label, keys] of [
    ['kvm_exits_total', 'vm', ['web-1', 'legacy-db']],
    ['kvm_exits_total', 'layer', ['kvm', 'qemu']],
    ['kvm_tracepoint_hits_total', 'tracepoint', ['kvm_exit', 'kvm_userspace_exit']],
  ] as const) {
    const [before, after] = [sums(first, name, label), sums(second, name, label)];
    for (const key of keys) {
      assert.ok((before.get(key) ?? 0) > 0, `${name} of ${key} at the start`);
      assert.ok((after.get(key) ?? 0) > (before.get(key) ?? 0), `${name} of ${key} does not rise`);
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

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} ends demo at once and without messages, even while a client is connected`, async (t) => {
    const demo = new Demo(t, '127.0.0.1:0');
    const url = await demo.url();
    // fetch keeps its connection open.
    await (await fetch(url)).text();
    const startMs = performance.now();
    demo.process.kill(signal);
    assert.deepEqual(await demo.ended, { status: 0, signal: null });
    assert.ok(performance.now() - startMs < 2000, 'demo took too long to end');
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
