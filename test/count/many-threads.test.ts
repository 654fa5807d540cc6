/** A process with any number of threads that each run a vCPU once: counters are few, and no exit is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../src/count/ledger.js';
import type { ThreadOwner } from '../../src/count/thread-owners.js';

const THREADS = 100_000;
/** Scans of the agent are so far apart, in milliseconds. */
const SCAN_MS = 2000;
const THREADS_PER_SCAN = 10_000;

/** Threads above which all are merged once a scan finds them idle, those of two scans, and one of merged counts. */
const MOST_LIVE = 32_768 + 2 * THREADS_PER_SCAN + 1;

const UNKNOWN: ThreadOwner = { vm: undefined, vcpu: '' };
const KNOWN: ThreadOwner = { vm: { label: 'web' }, vcpu: '0' };

/** Runs each thread once. Returns the exits by VM, and the largest number of threads with counters of their own. */
function runThreads(owner: ThreadOwner, doEnd: boolean): { exits: Record<string, number>; most: number } {
  const ledger = new Ledger({ ownerOf: () => owner });
  const kernel = ledger.kernelSource('tracefs', undefined, { onStart() {}, onEnd() {} });
  const reason = ledger.vocabulary.reasons.id('KVM_EXIT_IO');
  let most = 0;
  for (let n = 0; n < THREADS; n++) {
    const [tid, timeNs] = [1000 + n, n];
    kernel.userspaceExit(timeNs, 0, tid, reason);
    if (doEnd) kernel.threadExit(timeNs + 1, 0, tid);
    if ((n + 1) % THREADS_PER_SCAN !== 0) continue;
    most = Math.max(most, [...ledger.vcpus()].length);
    const nowMs = ((n + 1) / THREADS_PER_SCAN) * SCAN_MS;
    ledger.resolveOwners(nowMs);
    ledger.mergeIdleThreads(nowMs);
  }
  const { vms, layout } = ledger.totals();
  const exits = Object.fromEntries(
    Array.from(vms, ([vm, { kernel: counts }]) => [vm, layout.total('userspaceExits', counts)]),
  );
  return { exits, most };
}

test('threads that end, of no known VM', () => {
  const { exits, most } = runThreads(UNKNOWN, true);
  assert.deepEqual(exits, { '': THREADS });
  assert.ok(most <= 5000, `${most} threads have counters`);
});

test('threads that end, of a VM', () => {
  const { exits, most } = runThreads(KNOWN, true);
  assert.deepEqual(exits, { web: THREADS });
  assert.ok(most <= 5000, `${most} threads have counters`);
});

test('threads that live on, of no known VM', () => {
  const { exits, most } = runThreads(UNKNOWN, false);
  assert.deepEqual(exits, { '': THREADS });
  assert.ok(most <= MOST_LIVE, `${most} threads have counters`);
});

test('threads that live on, of a VM', () => {
  const { exits, most } = runThreads(KNOWN, false);
  assert.deepEqual(exits, { web: THREADS });
  assert.ok(most <= MOST_LIVE, `${most} threads have counters`);
});
