import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KnownPods } from '../../src/kubernetes/known-pods.js';

const pod = (uid: string, name = uid) => ({ uid, name, namespace: 'n', vmi: '' });

function knownPods(keepMs: number) {
  const clock = { nowMs: 0 };
  return { clock, pods: new KnownPods(keepMs, () => clock.nowMs) };
}

test('a deleted pod is kept for its time, and not longer', () => {
  const { clock, pods } = knownPods(1000);
  pods.put(pod('a'));
  pods.delete(pod('a', 'last-name'));
  assert.equal(pods.size, 0);
  clock.nowMs = 999;
  assert.equal(pods.find('a')?.name, 'last-name');
  clock.nowMs = 1000;
  assert.equal(pods.find('a'), undefined);
});

test('a pod that a list does not have any more is deleted, and one that comes back is known again', () => {
  const { clock, pods } = knownPods(1000);
  for (const uid of ['a', 'b']) pods.put(pod(uid));
  pods.replace(new Map([['b', pod('b')]]));
  assert.equal(pods.find('a')?.name, 'a');
  pods.put(pod('a', 'again'));
  clock.nowMs = 5000;
  assert.deepEqual([pods.find('a')?.name, pods.find('b')?.name, pods.size], ['again', 'b', 2]);
});

test('of very many deleted pods the latest 5000 are kept', () => {
  const { pods } = knownPods(1000);
  for (let i = 0; i < 6000; i++) {
    pods.put(pod(`${i}`));
    pods.delete(pod(`${i}`));
  }
  assert.deepEqual([pods.find('999'), pods.find('1000')?.uid, pods.find('5999')?.uid], [undefined, '1000', '5999']);
});
