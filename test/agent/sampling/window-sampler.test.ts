import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SamplingPlan, WindowLoad } from '../../../src/agent/sampling/sampling-plan.js';
import { WindowSampler } from '../../../src/agent/sampling/window-sampler.js';

/** Notes what the sampler does, and stops it after a number of periods. Each look at the clock takes a millisecond. */
class Host {
  readonly steps: string[] = [];
  readonly loads: WindowLoad[] = [];
  isRefused = false;
  isLost = false;
  #events = 0;
  #periods = 0;
  #nowMs = 0;
  readonly #sampler: WindowSampler;

  constructor(plan: Pick<SamplingPlan, 'next'>, periods: number, hasFocus = false) {
    const step = (name: string) => void this.steps.push(name);
    this.#sampler = new WindowSampler({
      plan: { ...plan, observe: (load) => void this.loads.push(load) },
      sources: {
        sample: async (on) => {
          step(on ? 'on' : 'off');
          return !this.isRefused;
        },
        isSampling: () => !this.isLost,
        drain: () => {
          step('drain');
          return true;
        },
        events: () => (this.#events += 100),
        readStatistics: async () => step('read'),
      },
      ledger: {
        begin: () => step('begin'),
        openWindow: () => step('open'),
        closeWindow: () => {
          step('close');
          return 0.5;
        },
        endPeriod: () => {
          step('end');
          if (++this.#periods === periods) this.#sampler.stop();
        },
      },
      startedWithin: () => new Set(),
      now: () => ++this.#nowMs,
      focus: hasFocus
        ? {
            update: async () => step('update'),
            deliverAll: (isAll) => step(isAll ? 'all' : 'focus'),
            pause: async () => step('pause'),
            resume: async () => step('resume'),
          }
        : undefined,
      random: () => 0.5,
    });
  }

  run(): Promise<void> {
    return this.#sampler.run();
  }
}

const START = ['read', 'drain', 'begin'];
const WINDOW = ['on', 'read', 'drain', 'open', 'read', 'drain', 'close'];
const END = ['read', 'drain', 'end'];
const plan = (windowMs: number, periodMs: number) => ({ next: () => ({ windowMs, periodMs }) });

test('a window is counted between two drains while the events are on', async () => {
  const host = new Host(plan(2, 10), 2);
  await host.run();
  assert.deepEqual(host.steps, [...START, ...WINDOW, 'off', ...END, ...WINDOW, 'off', ...END]);
  assert.equal(host.loads.length, 2);
  // Half of 100 events are those of the busiest vCPU. In a window the clock is looked at as it drains, and at its end.
  for (const { eventsPerSecond } of host.loads) assert.equal(eventsPerSecond, 25_000);
});

test('in a window that takes the whole period, events stay on', async () => {
  const host = new Host(plan(5, 5), 2);
  await host.run();
  assert.deepEqual(host.steps, [...START, ...WINDOW, ...END, ...WINDOW, ...END]);
});

test('a window is not counted if the kernel refuses to switch, or the trace is another one at its end', async () => {
  const refused = new Host(plan(2, 5), 1);
  refused.isRefused = true;
  await refused.run();
  assert.deepEqual(refused.steps, [...START, 'on', 'off', ...END]);
  const lost = new Host(plan(2, 5), 1);
  lost.isLost = true;
  await lost.run();
  assert.deepEqual(lost.steps, [...START, ...WINDOW.slice(0, -1), 'off', ...END]);
});

const NO_EVENTS = { sample: async () => true, isSampling: () => true, drain: () => true, events: () => 0 };

test('a VM whose statistics do not come does not keep a window open', async () => {
  const steps: string[] = [];
  let reads = 0;
  const sampler = new WindowSampler({
    plan: { ...plan(1, 2), observe: () => {} },
    sources: {
      ...NO_EVENTS,
      readStatistics: () => (++reads === 1 ? Promise.resolve() : sleep(3_600_000, undefined, { ref: false })),
    },
    ledger: {
      begin: () => {},
      openWindow: () => void steps.push('open'),
      closeWindow: () => {
        steps.push('close');
        sampler.stop();
        return 0;
      },
      endPeriod: () => {},
    },
    startedWithin: () => new Set(),
  });
  await sampler.run();
  assert.deepEqual(steps, ['open', 'close']);
});

test('in a window all events come from one instance, outside it those of VMs in focus from the other', async () => {
  const host = new Host(plan(2, 10), 1, true);
  await host.run();
  // Both record while one takes over from the other, so nothing is missed, and nothing counts twice.
  const window = ['on', 'read', 'drain', 'all', 'open', 'pause', 'resume', 'read', 'drain', 'close', 'focus', 'off'];
  assert.deepEqual(host.steps, [...START, 'update', ...window, 'update', ...END]);
});

test('a VM whose process started since sampling began is new in the first period that shows it', async () => {
  const news: boolean[][] = [];
  let nowMs = 0;
  const sampler = new WindowSampler({
    plan: { ...plan(1, 2), observe: () => {} },
    sources: {
      ...NO_EVENTS,
      readStatistics: async () => {},
    },
    ledger: {
      begin: () => {},
      openWindow: () => {},
      closeWindow: () => 0,
      endPeriod: (_, isNew) => {
        news.push([isNew('slow', true), isNew('slow', false)]);
        nowMs += 10_000;
        if (news.length === 2) sampler.stop();
      },
    },
    // The process starts right after the begin.
    startedWithin: (ms) => new Set(nowMs - ms <= 5 ? ['slow'] : []),
    now: () => nowMs,
  });
  await sampler.run();
  assert.deepEqual(news, [
    [true, true],
    [true, false],
  ]);
});

test('a focus that is not needed, as events stay on, is not resumed', async () => {
  const host = new Host(plan(5, 5), 1, true);
  await host.run();
  const window = ['on', 'read', 'drain', 'all', 'open', 'pause', 'read', 'drain', 'close'];
  assert.deepEqual(host.steps, [...START, 'update', ...window, 'update', ...END]);
});
