import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Steps, Stepwise } from '../../src/count/stepwise.js';

function* count(done: string[], steps: number, failsAt = -1): Steps<number> {
  for (let i = 0; i < steps; i++) {
    if (i === failsAt) throw new Error('broken');
    done.push(`step ${i}`);
    yield;
  }
  return steps;
}

describe('work in steps', () => {
  it('is done a step at a time', () => {
    const done: string[] = [];
    const work = new Stepwise(count(done, 2));
    assert.deepEqual(done, []);
    assert.equal(work.step(), true);
    assert.deepEqual(done, ['step 0']);
    assert.equal(work.step(), true);
    assert.equal(work.step(), false);
    assert.equal(work.finish(), 2);
  });

  it('that another one finishes has its result for both', () => {
    const done: string[] = [];
    const work = new Stepwise(count(done, 3));
    work.step();
    assert.equal(work.finish(), 3);
    assert.equal(work.step(), false);
    assert.equal(work.finish(), 3);
    assert.deepEqual(done, ['step 0', 'step 1', 'step 2']);
  });

  it('fails when its result is asked for, not when it is completed', () => {
    const work = new Stepwise(count([], 3, 1));
    work.complete();
    assert.equal(work.step(), false);
    for (let i = 0; i < 2; i++) assert.throws(() => work.finish(), /broken/);
  });
});
