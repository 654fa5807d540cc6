import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Ledger } from '../../src/count/ledger.js';
import { finish, type Steps } from '../../src/count/stepwise.js';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import { SnapshotAtWork } from '../../src/snapshot/snapshot-at-work.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';

const SNAPSHOT = takeSnapshot(new Ledger({ ownerOf: () => ({ vm: undefined, vcpu: '' }) }).totals());

function* threeSteps(done: string[], name: string): Steps<Snapshot> {
  for (const step of ['1', '2', '3']) {
    done.push(`${name}${step}`);
    yield;
  }
  return SNAPSHOT;
}

it('work waits while a snapshot is taken, and not for ever', () => {
  const atWork = new SnapshotAtWork();
  assert.equal(atWork.isTaken(0), false);
  const taking = atWork.take(threeSteps([], 'a'), 1000);
  taking.next();
  assert.equal(atWork.isTaken(1001), true);
  assert.equal(atWork.isTaken(9999), false);
  finish(taking);
  assert.equal(atWork.isTaken(1001), false);
});

it('what cannot wait finishes the snapshot, whose taker gets it whole', () => {
  const done: string[] = [];
  const atWork = new SnapshotAtWork();
  const taking = atWork.take(threeSteps(done, 'a'), 0);
  taking.next();
  atWork.finish();
  done.push('a drain');
  assert.equal(atWork.isTaken(1), false);
  assert.equal(finish(taking), SNAPSHOT);
  assert.deepEqual(done, ['a1', 'a2', 'a3', 'a drain']);
});

it('a snapshot that was overtaken does not end the wait for the next one', () => {
  const atWork = new SnapshotAtWork();
  const first = atWork.take(threeSteps([], 'a'), 0);
  first.next();
  atWork.finish();
  const second = atWork.take(threeSteps([], 'b'), 10);
  second.next();
  finish(first);
  assert.equal(atWork.isTaken(11), true);
});
