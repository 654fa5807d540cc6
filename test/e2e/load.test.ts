/**
 * The program under the load of many scrapers and of hostile clients. Its events come from a QEMU log, which needs no
 * root.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { type Answer, ask, statusOf, WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { HANG_MS } from '../support/patience.js';
import { Samples } from '../support/prometheus/samples.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'load-'));
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

const VMS = 8;
const VCPUS = 500;
const REASONS = 30;
/** Events of all logs after {@link writeLines}. */
const EVENTS = VMS * VCPUS * REASONS;
const SCRAPES = 50;
const ROUNDS = 3;
const MORE_LINES = 20_000;
/** The text of 100,000 series is 8 MB; one for each scrape would be 400 MB. */
const MAX_GROWTH = 250 << 20;

const LINES = Array.from({ length: VCPUS * REASONS }, (_, i) => line(Math.floor(i / REASONS), i % REASONS)).join('');

function line(vcpu: number, reason: number): string {
  return `kvm_run_exit cpu_index ${vcpu}, reason ${reason}\n`;
}

/** Writes a line for each reason of each vCPU of each VM. The counters of one log are limited, so it takes several. */
function writeLines(logs: readonly string[]): void {
  for (const log of logs) appendFileSync(log, LINES);
}

async function startRun(...args: string[]): Promise<{ agent: WebAgent; logs: readonly string[] }> {
  const logs = Array.from({ length: VMS }, (_, vm) => join(FOLDER, `vm-${process.pid}-${vm}.log`));
  for (const log of logs) writeFileSync(log, '');
  const options = logs.map((log) => `--qemu.log=${log}`);
  const agent = await WebAgent.startCommand('run', ['--no-collector.kernel', ...options, ...args]);
  return { agent, logs };
}

async function fetchMetrics(url: string, encoding: string): Promise<Answer> {
  const answer = await ask(`${url}/metrics`, { headers: { 'accept-encoding': encoding } });
  assert.ok(
    typeof answer !== 'string' && answer.status === 200,
    typeof answer === 'string' ? answer : String(answer.status),
  );
  return answer;
}

async function scrape(url: string): Promise<Samples> {
  return new Samples(textOf(await fetchMetrics(url, 'gzip')));
}

function textOf({ headers, body }: Answer): string {
  return (headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString();
}

async function untilCounted(url: string, events: number): Promise<Samples> {
  // One match instead of parsing all samples, which would take longer than writing them.
  const counted = async () => {
    const text = textOf(await fetchMetrics(url, 'gzip'));
    return [...text.matchAll(/^qemu_trace_events_total.* (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  for (let tries = 0; !((await counted()) >= events); tries++) {
    assert.ok(tries < 600, 'not all events were counted');
    await sleep(200);
  }
  return scrape(url);
}

/** Peak resident memory so far, in bytes. */
function peakMemory({ process: { pid } }: WebAgent): number {
  return 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Requests /-/healthy in a loop until `stop` is called. */
function healthChecks(url: string): { stop: () => Promise<(number | string)[]>; slowestMs: () => number } {
  const answers: (number | string)[] = [];
  let isRunning = true;
  let slowestMs = 0;
  const done = (async () => {
    while (isRunning) {
      const startMs = performance.now();
      answers.push(await statusOf(`${url}/-/healthy`, { timeout: 60_000 }));
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      await sleep(50);
    }
  })();
  return {
    slowestMs: () => slowestMs,
    async stop() {
      isRunning = false;
      await done;
      return answers;
    },
  };
}

test('fifty concurrent scrapes of 100,000 series: memory is bounded, no event is lost, health checks succeed', async (t) => {
  const { agent, logs } = await startRun(
    '--web.max-requests=0',
    '--limit.series=1000000',
    '--limit.series-per-vm=1000000',
  );
  writeLines(logs);
  const before = await untilCounted(agent.url, EVENTS);
  assert.ok(before.sum('kvm_exit_exporter_series') > 100_000);
  await fetchMetrics(agent.url, 'identity');
  const memory = peakMemory(agent);

  const health = healthChecks(agent.url);
  let written = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const scrapes = Array.from({ length: SCRAPES }, (_, i) =>
        fetchMetrics(agent.url, i % 2 === 0 ? 'gzip' : 'identity'),
      );
      for (; written < (MORE_LINES / ROUNDS) * (round + 1); written++)
        appendFileSync(logs[written % VMS] as string, line(written % VCPUS, 2));
      const sizes = (await Promise.all(scrapes)).map(({ body }) => body.length);
      assert.ok(Math.min(...sizes) > 100_000, `an answer of ${Math.min(...sizes)} bytes`);
    }
  } finally {
    await health.stop();
  }
  const answers = await health.stop();
  assert.deepEqual(
    answers.filter((status) => status !== 200),
    [],
  );
  assert.ok(answers.length > ROUNDS);
  t.diagnostic(`${answers.length} health checks, the slowest took ${Math.round(health.slowestMs())} ms`);
  const grown = peakMemory(agent) - memory;
  t.diagnostic(`${Math.round(memory / 2 ** 20)} MiB with one scrape, ${Math.round(grown / 2 ** 20)} more with fifty`);
  assert.ok(grown < MAX_GROWTH, `${Math.round(grown / 2 ** 20)} MiB more than with one scrape`);

  const end = await untilCounted(agent.url, EVENTS + written);
  assert.equal(end.sum('qemu_trace_events_total'), EVENTS + written);
  assert.equal(end.sum('kvm_exits_total'), EVENTS + written);
  assert.equal(end.sum('kvm_exit_exporter_lost_events_total') + end.sum('kvm_exit_exporter_unknown_gaps_total'), 0);
});

test('scrapers that do not read the answer are cut off before they cost much memory', async (t) => {
  const { agent, logs } = await startRun('--limit.series=1000000', '--limit.series-per-vm=1000000');
  writeLines(logs);
  await untilCounted(agent.url, EVENTS);
  await fetchMetrics(agent.url, 'identity');
  const memory = peakMemory(agent);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let i = 0; i < 30; i++) {
    const socket = connect(agent.port, '127.0.0.1');
    socket.on('error', () => {});
    sockets.push(socket);
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    // Reads the first bytes only, so that each scraper has an exposition of its own.
    await new Promise((resolve) => socket.once('readable', resolve));
  }
  const grown = peakMemory(agent) - memory;
  t.diagnostic(`${Math.round(grown / 2 ** 20)} MiB more with ${sockets.length} scrapers that do not read`);
  assert.ok(grown < MAX_GROWTH, `${Math.round(grown / 2 ** 20)} MiB more`);
  assert.equal(await statusOf(`${agent.url}/metrics`), 200);
});

/** The agent must stay below this under any requests; it starts with 90 MB. */
const MAX_MEMORY = 200e6;

test('pipelined requests whose answers are not read cost little memory, and health checks succeed meanwhile', async (t) => {
  const { agent } = await startRun();
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (const path of ['/docs', '/metrics', '/', '/api/vms', '/nowhere']) {
    for (let i = 0; i < 60; i++) {
      const socket = connect(agent.port, '127.0.0.1').on('error', () => {});
      sockets.push(socket);
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(1500));
    }
    const health = healthChecks(agent.url);
    await sleep(1000);
    const failed = (await health.stop()).filter((status) => status !== 200);
    assert.deepEqual(failed, [], path);
  }
  t.diagnostic(`at most ${Math.round(peakMemory(agent) / 1e6)} MB`);
  assert.ok(peakMemory(agent) < MAX_MEMORY, `${peakMemory(agent) / 1e6} MB`);
});

test('scrapes beyond the limit get 503 and Retry-After', async () => {
  const { agent, logs } = await startRun(
    '--web.max-requests=2',
    '--limit.series=1000000',
    '--limit.series-per-vm=1000000',
  );
  writeLines(logs);
  await untilCounted(agent.url, EVENTS);
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask(`${agent.url}/metrics`)));
  const statuses = answers.map((answer) => (typeof answer === 'string' ? answer : answer.status)).sort();
  assert.deepEqual(statuses, [200, 200, ...Array.from({ length: 8 }, () => 503)]);
  for (const answer of answers)
    if (typeof answer !== 'string' && answer.status === 503) assert.equal(answer.headers['retry-after'], '1');
  assert.equal(await statusOf(`${agent.url}/metrics`), 200);
});

test('scrapers that do not read make room for a new one after two seconds', async (t) => {
  const { agent, logs } = await startRun(
    '--web.max-requests=2',
    '--limit.series=1000000',
    '--limit.series-per-vm=1000000',
  );
  writeLines(logs);
  await untilCounted(agent.url, EVENTS);
  const sockets: Socket[] = [];
  const closeAll = () => {
    for (const socket of sockets.splice(0)) socket.destroy();
  };
  t.after(closeAll);
  const askThird = async () => {
    for (let i = 0; i < 2; i++) {
      const socket = connect(agent.port, '127.0.0.1').on('error', () => {});
      sockets.push(socket);
      socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await new Promise((resolve) => socket.once('readable', resolve));
    }
    return statusOf(`${agent.url}/metrics`);
  };
  const untilAnswered = async () => {
    for (const endMs = performance.now() + HANG_MS; performance.now() < endMs; await sleep(100))
      if ((await statusOf(`${agent.url}/metrics`)) === 200) return;
    assert.fail('no scrape is answered');
  };
  let startMs = performance.now();
  // If the three requests take two seconds, as on a very busy machine, room was made already.
  for (let tries = 1; (await askThird()) !== 503; tries++) {
    assert.ok(performance.now() - startMs >= 2000 && tries < 10, 'the third scrape is answered');
    closeAll();
    await untilAnswered();
    startMs = performance.now();
  }
  await untilAnswered();
  assert.ok(performance.now() - startMs >= 2000);
});

/** The first line that is received before the other end closes the connection. */
async function answerTo(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve));
  return text.split('\r\n')[0] ?? '';
}

test('a thousand connections that send their requests byte by byte block no scrape, and are cut off', async () => {
  const { agent } = await startRun();
  const open = () => {
    const socket = connect(agent.port, '127.0.0.1');
    socket.on('error', () => {});
    return socket;
  };
  const slow = Array.from({ length: 1000 }, open);
  let bytes = 0;
  const dripping = setInterval(() => {
    const text = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ';
    for (const socket of slow) if (socket.writable) socket.write(text[bytes] ?? 'x');
    bytes++;
  }, 100);
  const health = healthChecks(agent.url);
  try {
    const ends = slow.map((socket) => answerTo(socket));
    for (let tries = 0; tries < 5; tries++) {
      assert.equal(await statusOf(`${agent.url}/metrics`), 200);
      await sleep(200);
    }
    // The last one is cut off when the time for headers is over.
    assert.match((await Promise.all(ends)).at(-1) ?? '', /^HTTP\/1\.1 408 |^$/);
    assert.deepEqual(
      (await health.stop()).filter((status) => status !== 200),
      [],
    );
  } finally {
    await health.stop();
    clearInterval(dripping);
    for (const socket of slow) socket.destroy();
  }
});

test('headers of 10 MB, endless lines, bodies and garbage are answered and cut off', async () => {
  const { agent } = await startRun();
  const memory = peakMemory(agent);
  const send = async (pieces: Iterable<string | Buffer>): Promise<string> => {
    const socket = connect(agent.port, '127.0.0.1');
    const answer = answerTo(socket);
    for (const piece of pieces) {
      if (!socket.writable) break;
      if (!socket.write(piece)) await Promise.race([new Promise((next) => socket.once('drain', next)), answer]);
    }
    return answer;
  };
  const megabytes = function* (start: string) {
    yield start;
    for (let i = 0; i < 160; i++) yield Buffer.alloc(1 << 16, 'a');
  };
  for (const [start, want] of [
    ['GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Long: ', /^HTTP\/1\.1 431 |^$/],
    ['GET /', /^HTTP\/1\.1 431 |^$/],
    ['aaaa', /^HTTP\/1\.1 400 |^$/],
    [`POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${10 << 20}\r\n\r\n`, /^HTTP\/1\.1 413 |^$/],
    ['GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n', /^HTTP\/1\.1 413 |^$/],
  ] as const)
    assert.match(await send(megabytes(start)), want, start);
  assert.match(
    await send(['GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n']),
    / 400 /,
  );
  assert.match(await send(['DELETE /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n']), / 405 /);
  assert.match(await send(['GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n']), / 404 /);
  assert.equal(await statusOf(`${agent.url}/metrics`), 200);
  assert.ok(peakMemory(agent) - memory < 64 << 20);
  assert.doesNotMatch(agent.log, /level=error/);
});
