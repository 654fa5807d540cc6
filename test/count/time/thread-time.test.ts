import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ThreadTime } from '../../../src/count/time/thread-time.js';
import type { Usage } from '../../../src/count/time/usage.js';
import { TIME_STATES } from '../../../src/count/time/vcpu-time.js';
import { ExitTimer, IDLE, INTERRUPTED } from '../../../src/count/vcpu/exit-timer.js';

const IO = 1;
const HLT = 2;
const EXIT_IO = 3;
const RESTART = 4;
const KINDS = Uint8Array.from([0, 0, IDLE, 0, INTERRUPTED]);
const MS = 1e6;

type Step = readonly [event: 'entry' | 'exit' | 'user', ms: number, reason?: number];

function trace(timer: ExitTimer, steps: readonly Step[]): ExitTimer {
  for (const [event, ms, reason = 0] of steps) {
    timer.nowNs = ms * MS;
    if (event === 'entry') timer.entry();
    else if (event === 'exit') timer.exit(reason);
    else timer.userspaceExit(reason);
  }
  return timer;
}

/** Milliseconds by state; states that are not known are missing. */
function shown({ time }: ThreadTime): Record<string, number> {
  return Object.fromEntries(
    TIME_STATES.flatMap((state) => {
      const ns = time[state];
      return ns === undefined ? [] : [[state, Math.round(ns / 1000) / 1000]];
    }),
  );
}

function sum(time: ThreadTime): number {
  return Object.values(shown(time)).reduce((total, ms) => total + ms, 0);
}

const usage = (wallMs: number, runMs: number, waitMs: number, more: Partial<Usage> = {}): Usage => ({
  wallNs: wallMs * MS,
  runNs: runMs * MS,
  waitNs: waitMs * MS,
  ...more,
});

const ticks = (user: number, system: number, guest: number | undefined, isRunnable = false) => ({
  ticks: { user, system, guest, isRunnable },
});

test('legs of a trace, the wait taken out of the leg in which it was', () => {
  const timer = trace(new ExitTimer(KINDS), [['entry', 0]]);
  const time = new ThreadTime();
  time.begin(timer);
  // Long legs: 1 and 60 ms in KVM, 9 ms in QEMU. The thread waited 55 ms.
  trace(timer, [
    ['exit', 10, IO],
    ['user', 11, EXIT_IO],
    ['entry', 20],
    ['exit', 30, IO],
    ['entry', 90],
  ]);
  timer.settle(100 * MS);
  time.add(usage(100, 45, 55), timer);
  const inKvm = (55 * 61) / 70;
  assert.equal(shown(time).kvm, Math.round((61 - inKvm) * 1000) / 1000);
  assert.equal(shown(time).qemu, Math.round((9 - (55 - inKvm)) * 1000) / 1000);
  assert.deepEqual([shown(time).guest, shown(time).ready, shown(time).unknown, sum(time)], [30, 55, 0, 100]);
});

test('a vCPU that stays in one place has its time before the next event', () => {
  for (const [reason, state] of [[HLT, 'idle'] as const, [IO, 'kvm'] as const]) {
    const timer = trace(new ExitTimer(KINDS), [
      ['entry', 0],
      ['exit', 0, reason],
    ]);
    const time = new ThreadTime();
    time.begin(timer);
    for (let second = 1; second <= 3; second++) {
      timer.settle(second * 1000 * MS);
      time.add(usage(1000, 0, 0), timer);
      assert.equal(shown(time)[state], second * 1000);
    }
    trace(timer, [['entry', 3500]]);
    timer.settle(4000 * MS);
    time.add(usage(1000, 500, 0), timer);
    assert.deepEqual([shown(time)[state], shown(time).guest, sum(time)], [3500, 500, 4000]);
  }
});

test('a paused VM is in an unknown place, and an interrupted one in QEMU', () => {
  const timer = trace(new ExitTimer(KINDS), [
    ['entry', 0],
    ['exit', 10, IO],
    ['user', 20, RESTART],
    ['entry', 40],
    ['exit', 50, IO],
    ['user', 50, RESTART],
  ]);
  const time = new ThreadTime();
  time.begin(timer);
  assert.equal(shown(time).qemu, 20);
  // 50 ms may be an interruption, so they are not counted yet.
  timer.settle(100 * MS);
  time.add(usage(50, 0, 0), timer);
  assert.equal(sum(time), 50);
  timer.settle(60_050 * MS);
  time.add(usage(59_950, 0, 0), timer);
  trace(timer, [['entry', 60_050]]);
  timer.settle(60_060 * MS);
  time.add(usage(10, 10, 0), timer);
  assert.deepEqual(shown(time), { guest: 30, kvm: 10, qemu: 20, ready: 0, idle: 0, unknown: 60_000 });
});

test('time after a gap in the trace is unknown until the next entry', () => {
  const timer = trace(new ExitTimer(KINDS), [['entry', 0]]);
  const time = new ThreadTime();
  time.begin(timer);
  trace(timer, [['exit', 100, IO]]);
  timer.abandon();
  trace(timer, [['entry', 400]]);
  timer.settle(1000 * MS);
  time.add(usage(1000, 1000, 0), timer);
  assert.deepEqual(shown(time), { guest: 700, kvm: 0, qemu: 0, ready: 0, idle: 0, unknown: 300 });
});

test('without a trace, run time is divided as the clock ticks are, and sleep is idle', () => {
  const time = new ThreadTime();
  time.begin(undefined);
  time.add(usage(2000, 1000, 300, ticks(80, 20, 60)), undefined);
  assert.deepEqual(shown(time), { guest: 600, kvm: 200, qemu: 200, ready: 300, idle: 700 });
  time.add(usage(2000, 0, 0, { ...ticks(0, 0, 0), sleptInVmm: true }), undefined);
  assert.deepEqual(shown(time), { guest: 600, kvm: 200, qemu: 200, ready: 300, idle: 700, unknown: 2000 });
});

test('a KVM that does not tell when it is in a guest has no time in KVM', () => {
  const time = new ThreadTime();
  time.begin(undefined);
  time.add(usage(2000, 1000, 0, ticks(10, 90, undefined)), undefined);
  assert.deepEqual(shown(time), { guest: 900, qemu: 100, ready: 0, idle: 1000 });
});

test('run time that is shorter than a clock tick is added with the next tick', () => {
  const time = new ThreadTime();
  time.begin(undefined);
  for (let interval = 0; interval < 4; interval++) time.add(usage(1000, 4, 0, ticks(0, 0, 0)), undefined);
  assert.equal(sum(time), 4000 - 16);
  time.add(usage(1000, 4, 0, ticks(0, 1, 0)), undefined);
  assert.equal(shown(time).kvm, 20);
  assert.equal(sum(time), 5000);
});

test('a wait that ended after the interval in which it began is made up for', () => {
  const time = new ThreadTime();
  time.begin(undefined);
  // Under a quota of 15 ms in 100 ms, read in the middle of a wait.
  time.add(usage(60, 15, 0, ticks(0, 1, 0)), undefined);
  time.add(usage(100, 15, 85, ticks(0, 2, 0)), undefined);
  time.add(usage(40, 0, 85, ticks(0, 0, 0)), undefined);
  // Again in the middle of a wait.
  time.add(usage(60, 15, 0, ticks(0, 1, 0)), undefined);
  assert.deepEqual(shown(time), { guest: 0, kvm: 45, qemu: 0, ready: 170, idle: 45 });
  assert.equal(sum(time), 260);
});

test('the wait that a thread is in when it is read is not idle time', () => {
  const time = new ThreadTime();
  time.begin(undefined);
  time.add(usage(60, 15, 0, ticks(0, 1, 0, true)), undefined);
  assert.deepEqual(shown(time), { guest: 0, kvm: 15, qemu: 0, ready: 0, idle: 0 });
  time.add(usage(100, 15, 85, ticks(0, 2, 0, true)), undefined);
  time.add(usage(40, 0, 85, ticks(0, 0, 0, true)), undefined);
  assert.deepEqual(shown(time), { guest: 0, kvm: 30, qemu: 0, ready: 170, idle: 0 });
  // Time that the kernel never accounts is not kept for ever.
  time.add(usage(2000, 0, 0, ticks(0, 0, 0, true)), undefined);
  assert.deepEqual([sum(time), shown(time).unknown], [2200, 2000]);
});

for (const [what, wait] of [
  ['runs', 0],
  ['waits', 600],
] as const)
  test(`the sleep of a thread that ${what} whenever it is read is idle time`, () => {
    const time = new ThreadTime();
    time.begin(undefined);
    // It sleeps for 1 s of each 2 s, or for 1.6 s.
    const [run, sleep] = wait === 0 ? [400, 1600] : [400, 1000];
    for (let interval = 0; interval < 20; interval++)
      time.add(usage(2000, run, wait, ticks(0, 40, 0, true)), undefined);
    const { idle = 0, unknown } = shown(time);
    assert.equal(unknown, undefined);
    // At most a second is kept back, because it may be a wait that is going on.
    assert.ok(idle <= 20 * sleep && idle >= 20 * sleep - 1000, `idle ${idle} of ${20 * sleep}`);
  });

test('time in interrupts, which is no run time, is not idle', () => {
  const time = new ThreadTime();
  time.begin(undefined);
  for (let interval = 0; interval < 20; interval++) time.add(usage(2000, 1980, 0, ticks(0, 200, 0, true)), undefined);
  const { idle, unknown = 0 } = shown(time);
  assert.equal(idle, 0);
  assert.ok(unknown <= 400 && unknown >= 380, `unknown ${unknown}`);
});

test('time of an ended thread that no reading covers is that of its legs', () => {
  const timer = trace(new ExitTimer(KINDS), [['entry', 0]]);
  const live = new ThreadTime();
  live.begin(timer);
  timer.settle(1000 * MS);
  live.add(usage(1000, 400, 600), timer);
  trace(timer, [
    ['exit', 1500, HLT],
    ['entry', 1700],
  ]);
  const ended = new ThreadTime();
  ended.absorb(live);
  assert.deepEqual(shown(live), {});
  const to = { ...ended.time };
  ended.addRest(timer, to);
  assert.deepEqual(
    [to.guest, to.idle, to.ready].map((ns = 0) => ns / MS),
    [900, 200, 600],
  );
});

test('no state ever decreases, and all states together are wall time, whatever the kernel says', () => {
  const ms = fc.integer({ min: 0, max: 3000 });
  const interval = fc.record({ wall: fc.integer({ min: 1, max: 3000 }), run: ms, wait: ms, place: fc.nat(4) });
  fc.assert(
    fc.property(fc.array(interval, { minLength: 1, maxLength: 20 }), (intervals) => {
      const timer = trace(new ExitTimer(KINDS), [['entry', 0]]);
      const time = new ThreadTime();
      time.begin(timer);
      let nowMs = 0;
      for (const { wall, run, wait, place } of intervals) {
        const before = shown(time);
        const half = nowMs + wall / 2;
        if (place === 1) trace(timer, [['exit', half, IO]]);
        if (place === 2) trace(timer, [['exit', half, HLT]]);
        if (place === 3) trace(timer, [['user', half, EXIT_IO]]);
        if (place === 4) trace(timer, [['entry', half]]);
        nowMs += wall;
        timer.settle(nowMs * MS);
        time.add(usage(wall, run, wait), timer);
        for (const [state, value] of Object.entries(shown(time)))
          assert.ok(value >= (before[state] ?? 0), `${state} decreased`);
        assert.ok(Math.abs(sum(time) - nowMs) < 0.01, `${sum(time)} ms of ${nowMs} ms`);
      }
    }),
  );
});
