/** Start times of series, against the rules in the comment of SeriesStates, followed one series at a time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HrTime } from '@opentelemetry/api';
import fc from 'fast-check';
import { SeriesStates } from '../../../src/expose/otlp/series-states.js';
import { collectGarbage } from '../../support/collect-garbage.js';

interface Sample {
  readonly vm: string;
  readonly vcpu: string;
  readonly value: number;
}

interface Collection {
  readonly samples: readonly Sample[];
  /** Number of the series of each VM. */
  readonly lives: readonly [a: number, b: number];
  readonly isComplete: boolean;
}

const VMS = ['a', 'b'];

const collections = fc.array(
  fc.record({
    samples: fc.uniqueArray(
      fc.record({
        vm: fc.constantFrom(...VMS),
        vcpu: fc.constantFrom('0', '1', '2'),
        value: fc.nat({ max: 3 }),
      }),
      { selector: ({ vm, vcpu }) => `${vm} ${vcpu}` },
    ),
    // VMs seldom begin again.
    lives: fc.tuple(fc.constantFrom(1, 1, 1, 2), fc.constantFrom(0, 1, 1, 2)),
    isComplete: fc.boolean(),
  }),
  { maxLength: 12 },
);

/** Start of each series in each collection: the number of a collection, -1 for the begin of all. */
function expectedStarts(all: readonly Collection[]): number[][] {
  const series = new Map<string, { vm: string; start: number; value: number }>();
  const lifeOf = new Map<string, number>();
  let latestComplete = -1;
  return all.map(({ samples, lives, isComplete }, number) => {
    const starts = samples.map(({ vm, vcpu, value }) => {
      const life = lives[VMS.indexOf(vm)] ?? 0;
      if (life > 0 && (lifeOf.get(vm) ?? life) !== life)
        for (const own of series.values()) if (own.vm === vm) Object.assign(own, { start: latestComplete, value: -1 });
      if (life > 0) lifeOf.set(vm, life);
      const known = series.get(`${vm} ${vcpu}`);
      const start = known !== undefined && value >= known.value ? known.start : latestComplete;
      series.set(`${vm} ${vcpu}`, { vm, start, value });
      return start;
    });
    if (isComplete) {
      const seen = new Set(samples.map(({ vm, vcpu }) => `${vm} ${vcpu}`));
      for (const key of series.keys()) if (!seen.has(key)) series.delete(key);
      for (const vm of VMS) if (![...series.values()].some((own) => own.vm === vm)) lifeOf.delete(vm);
      latestComplete = number;
    }
    return starts;
  });
}

test('a series starts at the latest complete collection without it, and again when it restarted', () => {
  fc.assert(
    fc.property(collections, fc.boolean(), (all, isDelta) => {
      const timeOf = (number: number): HrTime => [1000 + number, 0];
      const states = new SeriesStates(timeOf(-1), isDelta);
      const starts = all.map(({ samples, lives, isComplete }, number) => {
        states.beginCollection();
        const own = samples.map(({ vm, vcpu, value }) => {
          const { start, delta } = states.update([vm, vcpu], value, lives[VMS.indexOf(vm)] ?? 0);
          assert.equal(delta !== undefined, isDelta);
          return start[0] - 1000;
        });
        if (isComplete) states.endCollection(timeOf(number));
        return own;
      });
      assert.deepEqual(starts, expectedStarts(all));
    }),
    { numRuns: 500 },
  );
});

test('what the receiver knows of a series ends with the series', () => {
  const states = new SeriesStates([1, 0], true);
  const collect = (...vms: string[]) => {
    states.beginCollection();
    const deltas = vms.map((vm) => states.update([vm], 5, 1).delta);
    states.endCollection([2, 0]);
    return deltas;
  };
  const [a] = collect('a', 'b');
  assert.ok(a !== undefined);
  a.unanswered = { total: 5, at: [1, 0] };
  assert.deepEqual([states.isUnanswered, collect('a')[0]], [true, a]);
  collect('b');
  assert.equal(states.isUnanswered, false);
  assert.notEqual(collect('c')[0], a, 'a new series in the place of another');
});

test('keys that VMs have for themselves are forgotten with them', () => {
  const states = new SeriesStates([0, 0], false);
  const heapBytes = () => {
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  const runVms = (count: number) => {
    for (let vm = 1; vm <= count; vm++) {
      states.beginCollection();
      states.update([`vm-${vm}`, `${process.hrtime.bigint()}`.padEnd(1000, '.')], 1, vm);
      states.endCollection([vm, 0]);
    }
  };
  runVms(100);
  const before = heapBytes();
  runVms(3000);
  const grown = heapBytes() - before;
  assert.ok(grown < 300_000, `${grown} bytes`);
});
