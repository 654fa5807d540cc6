import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventLoopStalls } from '../../src/expose/event-loop-stalls.js';

function stall(ms: number): void {
  for (const endMs = performance.now() + ms; performance.now() < endMs; );
}

/** An event loop whose time, work and timers the test moves on. */
function handLoop(t: TestContext) {
  let [nowMs, activeMs] = [1000, 0];
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.mock.method(performance, 'now', () => nowMs);
  t.mock.method(performance, 'eventLoopUtilization', () => ({ active: activeMs, idle: 0, utilization: 0 }));
  return {
    /** The loop waits for events, and its timers are punctual. */
    idle(ms: number): void {
      for (let passed = 0; passed < ms; passed += 10) {
        nowMs += 10;
        t.mock.timers.tick(10);
      }
    },
    /** One piece of work. */
    work(ms: number): void {
      nowMs += ms;
      activeMs += ms;
      t.mock.timers.tick(ms);
    },
  };
}

test('a stall is reported with its length', async () => {
  const stalls = new EventLoopStalls();
  await sleep(200);
  stall(400);
  await sleep(100);
  // The machine can add to a stall, and the measurement can miss 50 ms of it.
  assert.ok(stalls.longest().stall >= 0.345, String(stalls.longest().stall));
});

test('a stall is reported for one or two minutes', (t) => {
  const loop = handLoop(t);
  const stalls = new EventLoopStalls();
  const isReported = () => stalls.longest().stall >= 0.345;
  loop.idle(200);
  loop.work(400);
  loop.idle(100);
  assert.ok(isReported(), String(stalls.longest().stall));
  loop.idle(59_300);
  assert.ok(isReported(), 'at the end of the first minute');
  loop.idle(59_000);
  assert.ok(isReported(), 'in the second minute');
  loop.idle(1000);
  stalls.longest();
  assert.ok(!isReported(), 'in the third minute');
});

test('a stall counts before the loop has come to measure it', async () => {
  const stalls = new EventLoopStalls();
  await sleep(200);
  stall(1000);
  // The loop was measured at most 50 ms before, and could be late by 50 ms.
  assert.ok(stalls.longest().stall >= 0.6, String(stalls.longest().stall));
});

/** Uses the CPU, whatever else the machine does. */
function work(ms: number): void {
  for (const end = process.cpuUsage().user / 1000 + ms; process.cpuUsage().user / 1000 < end; );
}

test('work is a stall, too', async () => {
  const stalls = new EventLoopStalls();
  await sleep(200);
  work(400);
  await sleep(100);
  const longest = stalls.longest();
  // CPU time of the process contains that of its other threads, which work little.
  assert.ok(longest.work >= 0.3, String(longest.work));
  assert.ok(longest.stall >= longest.work);
});

test('the time in which other programs have the CPU is a stall, and not work', async () => {
  let cpuMs = 1000;
  const stalls = new EventLoopStalls(undefined, { totalMs: () => cpuMs });
  await sleep(200);
  stall(800);
  cpuMs += 300;
  await sleep(100);
  const longest = stalls.longest();
  assert.ok(longest.stall >= 0.745, JSON.stringify(longest));
  assert.equal(longest.work, 0.3);
});

test('the work is not known if the kernel does not show CPU times', async () => {
  const stalls = new EventLoopStalls(undefined, { totalMs: () => Number.NaN });
  await sleep(100);
  assert.ok(Number.isNaN(stalls.longest().work));
  assert.ok(stalls.longest().stall >= 0);
});

test('an idle loop is woken up seldom, and soon after work more often', (t) => {
  const loop = handLoop(t);
  let [looks, cpuMs] = [0, 0];
  const totalMs = () => {
    looks++;
    return cpuMs;
  };
  const looksIn = (ms: number) => {
    looks = 0;
    loop.idle(ms);
    return looks;
  };
  const stalls = new EventLoopStalls(undefined, { totalMs }, 0);
  const idle = looksIn(10_000);
  assert.ok(idle <= 6, `${idle} in ten seconds`);
  // On a busy host, an agent that has hardly anything to do waits for a CPU.
  loop.work(200);
  loop.idle(2000); // the next measurement
  assert.ok(stalls.longest().stall >= 0.2, String(stalls.longest().stall));
  const waiting = looksIn(10_000);
  assert.ok(waiting <= 7, `${waiting} in ten seconds after a wait`);
  loop.work(200);
  cpuMs += 200;
  loop.idle(2000); // the next measurement
  const busy = looksIn(2000);
  assert.ok(busy > 30, `${busy} in two seconds after work`);
});

test('pieces of work that are short do not add up to a stall', async () => {
  // The CPU time that a piece takes differs from machine to machine, so here each takes 1 ms by definition.
  let cpuMs = 0;
  const stalls = new EventLoopStalls(undefined, { totalMs: () => cpuMs });
  for (let piece = 0; piece < 40; piece++) {
    await sleep(50);
    work(1);
    cpuMs++;
  }
  const { work: longest } = stalls.longest();
  assert.ok(longest < 0.04, String(longest));
});
