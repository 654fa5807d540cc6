import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AutoPlan } from '../../../src/agent/sampling/auto-plan.js';
import { FixedPlan } from '../../../src/agent/sampling/sampling-plan.js';

test('a fixed plan has a short first period, and then the given one', () => {
  const plan = new FixedPlan({ windowMs: 2000, periodMs: 60_000 });
  assert.deepEqual(plan.next(), { windowMs: 2000, periodMs: 4000 });
  for (let period = 0; period < 3; period++) assert.deepEqual(plan.next(), { windowMs: 2000, periodMs: 60_000 });
});

// By docs/overhead.md an event costs half a microsecond, so 1 % of a vCPU's time is worth 20,000 events a second. A
// third of the budget is planned for.
for (const [eventsPerSecond, windowMs, periodMs] of [
  [0, 20_000, 20_000],
  [20_000 / 3, 20_000, 20_000],
  [40_000 / 3, 10_000, 20_000],
  [200_000 / 3, 2000, 20_000],
  [800_000 / 3, 1000, 40_000],
  [1e9, 1000, 600_000],
] as const)
  test(`with ${Math.round(eventsPerSecond)} events a second, a budget of 1 % allows ${windowMs} of ${periodMs} ms`, () => {
    const plan = new AutoPlan(0.01);
    plan.observe({ eventsPerSecond });
    const next = plan.next();
    assert.ok(Math.abs(next.windowMs - windowMs) < 1 && Math.abs(next.periodMs - periodMs) < 1, JSON.stringify(next));
  });

test('auto follows the load', () => {
  const plan = new AutoPlan(0.01);
  assert.deepEqual(plan.next(), { windowMs: 1000, periodMs: 2000 });
  plan.observe({ eventsPerSecond: 200_000 / 3 });
  assert.equal(Math.round(plan.next().windowMs), 2000);
  plan.observe({ eventsPerSecond: 100 });
  assert.equal(plan.next().windowMs, 20_000);
});
