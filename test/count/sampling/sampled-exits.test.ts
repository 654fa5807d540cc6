import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SampledExits } from '../../../src/count/sampling/sampled-exits.js';
import { type Random, randomFrom } from '../../support/random.js';

const HLT = 0;
const IO = 1;
const MSR = 2;
const CPUID = 3;
const REASONS = [HLT, IO, MSR, CPUID];

/** Time is divided into steps of 20 ms. */
const STEPS_PER_SECOND = 50;
const PERIOD = 60 * STEPS_PER_SECOND;
const WINDOW = 2 * STEPS_PER_SECOND;

/** A number with a Poisson distribution; above 50, the normal distribution that it looks like. */
function poisson(mean: number, random: Random): number {
  if (mean > 50) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal));
  }
  let count = 0;
  for (let left = Math.exp(-mean), product = random(); product > left; product *= random()) count++;
  return count;
}

/** Exits by reason in one step. */
type Guest = (step: number) => readonly number[];

const perStep = (perSecond: number) => perSecond / STEPS_PER_SECOND;

const GUESTS: Readonly<Record<string, (random: Random) => Guest>> = {
  steady: (random) => () => [300, 200, 50, 0.5].map((rate) => poisson(perStep(rate), random)),
  // A timer at 250 Hz, and a second of disk writes every ten: six in each period.
  periodic: () => (step) => {
    const second = Math.floor(step / STEPS_PER_SECOND);
    return [5, second % 10 === 3 ? 400 : 0, step % 25 === 0 ? 1 : 0, second % 30 === 7 ? 1 : 0];
  },
  // Every 45 s on average, a burst of 0.1 to 5 s of up to 100,000 exits per second, with CPUID at its start.
  bursty: (random) => {
    let [start, end, rate] = [0, 0, 0];
    return (step) => {
      if (step >= end) {
        start = step - Math.ceil(Math.log(1 - random()) * -45 * STEPS_PER_SECOND) * -1;
        end = start + Math.ceil((0.1 + 4.9 * random() ** 3) * STEPS_PER_SECOND);
        rate = 10 ** (3 + 2 * random());
      }
      const isBurst = step >= start && step < end;
      return [
        poisson(perStep(200), random),
        isBurst ? poisson(perStep(rate), random) : 0,
        isBurst ? poisson(perStep(rate / 10), random) : poisson(perStep(20), random),
        step === start ? 40 : 0,
      ];
    };
  },
  // Its exits change from halts to port accesses in the course of the run.
  changing: (random) => (step) => {
    const part = Math.min(1, step / (20 * PERIOD));
    return [400 * (1 - part), 4000 * part, 30, 1].map((rate) => poisson(perStep(rate), random));
  },
};

interface Run {
  readonly sampled: SampledExits;
  readonly truth: readonly number[];
}

function run(guest: Guest, periods: number, random: Random): Run {
  const truth = REASONS.map(() => 0);
  const sampled = new SampledExits();
  for (let period = 0; period < periods; period++) {
    const start = period * PERIOD + Math.floor(random() * (PERIOD - WINDOW + 1));
    const seen = REASONS.map(() => 0);
    let exits = 0;
    for (let step = period * PERIOD; step < (period + 1) * PERIOD; step++) {
      for (const [reason, count] of guest(step).entries()) {
        truth[reason] = (truth[reason] ?? 0) + count;
        exits += count;
        if (step >= start && step < start + WINDOW) seen[reason] = (seen[reason] ?? 0) + count;
      }
    }
    sampled.addPeriod(exits, new Map(seen.entries()), WINDOW / PERIOD);
  }
  return { sampled, truth };
}

const sum = (numbers: Iterable<number>) => [...numbers].reduce((all, number) => all + number, 0);

for (const [name, guest] of Object.entries(GUESTS)) {
  for (const periods of [1, 3, 10, 30]) {
    test(`${name}, ${periods} periods: 95 % of the true numbers are in their intervals, totals are exact`, (t) => {
      const runs = Array.from({ length: 60 }, (_, seed) => {
        const random = randomFrom(1000 * periods + seed);
        return run(guest(random), periods, random);
      });
      let [right, all] = [0, 0];
      for (const { sampled, truth } of runs) {
        const estimates = sampled.estimates();
        const counted = sum([...estimates.values()].map(({ count }) => count));
        assert.ok(Math.abs(counted - sum(truth)) < 1e-6 * sum(truth), `${counted} of ${sum(truth)}`);
        for (const [reason, number] of truth.entries()) {
          const { low, high } = estimates.get(reason) ?? sampled.unseen();
          all++;
          if (low <= number && number <= high) right++;
        }
      }
      t.diagnostic(`${right} of ${all} in their intervals`);
      assert.ok(right >= 0.95 * all, `${right} of ${all}`);
    });
  }
}

test('the error of a steady guest is small', () => {
  const random = randomFrom(7);
  const { sampled, truth } = run((GUESTS.steady as (random: Random) => Guest)(random), 30, random);
  for (const reason of [HLT, IO]) {
    const { low = 0, high = 0 } = sampled.estimates().get(reason) ?? {};
    assert.ok(high - low < 0.12 * (truth[reason] ?? 0), `${low} to ${high} of ${truth[reason]}`);
  }
});

test('counts never decrease', () => {
  const random = randomFrom(8);
  const sampled = new SampledExits();
  let before = new Map<number, number>();
  for (let period = 0; period < 200; period++) {
    const window = new Map(REASONS.map((reason) => [reason, random() < 0.5 ? 0 : Math.floor(random() * 1000)]));
    sampled.addPeriod(Math.floor(random() * 50_000), window, 1 / 30);
    const now = new Map(Array.from(sampled.estimates(), ([reason, { count }]) => [reason, count]));
    for (const [reason, count] of before) assert.ok((now.get(reason) ?? 0) >= count);
    before = now;
  }
});

test('exits before the first window that sees any wait for it', () => {
  const sampled = new SampledExits();
  sampled.addPeriod(500, new Map(), 0.1);
  assert.deepEqual([sampled.total, sampled.estimates().size], [0, 0]);
  sampled.addPeriod(300, new Map([[IO, 30]]), 0.1);
  assert.equal(sampled.total, 800);
  assert.equal(sampled.estimates().get(IO)?.count, 800);
});

test('a window that takes the whole period is exact', () => {
  const sampled = new SampledExits();
  for (let period = 0; period < 3; period++)
    sampled.addPeriod(
      30,
      new Map([
        [IO, 20],
        [HLT, 10],
      ]),
      1,
    );
  assert.deepEqual(sampled.estimates().get(IO), { count: 60, low: 60, high: 60 });
  assert.deepEqual(sampled.unseen(), { count: 0, low: 0, high: 0 });
});
