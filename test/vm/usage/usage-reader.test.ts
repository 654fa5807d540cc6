import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { tellsGuestTime } from '../../../src/vm/usage/kvm-flavour.js';
import { UsageReader } from '../../../src/vm/usage/usage-reader.js';
import { type UsageListener, UsageRounds } from '../../../src/vm/usage/usage-rounds.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const THREAD = { pid: 7, tid: 8 };

/** A /proc with one thread per id, and a function that sets what it says of a thread. */
function newProc(t: TestContext, tids: readonly number[] = [THREAD.tid]) {
  const root = temporaryFolder(t, 'usage');
  for (const tid of tids) mkdirSync(join(root, '7/task', String(tid)), { recursive: true });
  return {
    root,
    set(
      tid: number,
      files: {
        schedstat?: string;
        stat?: [utime: number, stime: number, gtime: number];
        state?: 'R' | 'S';
        wchan?: string;
      },
    ) {
      const { schedstat, stat, state = 'S', wchan } = files;
      const write = (name: string, text: string) => writeFileSync(join(root, '7/task', String(tid), name), text);
      if (schedstat !== undefined) write('schedstat', `${schedstat}\n`);
      if (wchan !== undefined) write('wchan', wchan);
      if (stat === undefined) return;
      // Fields 3 to 52 of proc(5): utime is 14, stime 15, guest_time 43.
      const fields = [state, ...Array.from({ length: 49 }, () => '0')];
      [fields[14 - 3], fields[15 - 3], fields[43 - 3]] = stat.map(String) as [string, string, string];
      write('stat', `${tid} (CPU 0) /KVM) ${fields.join(' ')}\n`);
    },
  };
}

test('intervals are differences between two readings', (t) => {
  const { root, set } = newProc(t);
  const reader = new UsageReader(root);
  set(8, { schedstat: '5327456932 147415465 263', stat: [100, 20, 60] });
  assert.equal(reader.read(THREAD, 1000, true), 'first');
  set(8, { schedstat: '5327457932 147417465 264', stat: [190, 21, 130] });
  assert.deepEqual(reader.read(THREAD, 3000, true), {
    wallNs: 2e9,
    runNs: 1000,
    waitNs: 2000,
    ticks: { user: 90, system: 1, guest: 70, isRunnable: false },
    sleptInVmm: false,
  });
});

test('a KVM that does not tell its time in guests has it in that of the kernel', (t) => {
  const { root, set } = newProc(t);
  const reader = new UsageReader(root);
  reader.tellsGuest = false;
  set(8, { schedstat: '1 1 1', stat: [0, 0, 0] });
  reader.read(THREAD, 0, true);
  set(8, { schedstat: '2 1 2', stat: [8, 90, 3] });
  const interval = reader.read(THREAD, 1000, true);
  assert.ok(typeof interval === 'object');
  assert.deepEqual(interval.ticks, { user: 5, system: 93, guest: undefined, isRunnable: false });
});

for (const [wchan, slept] of [
  ['futex_wait_queue', true],
  ['kvm_vcpu_block', false],
  ['0', false],
] as const)
  test(`a thread asleep in ${wchan} ${slept ? 'is' : 'is not known to be'} asleep in its VMM`, (t) => {
    const { root, set } = newProc(t);
    const reader = new UsageReader(root);
    set(8, { schedstat: '10 20 30', stat: [0, 0, 0], wchan });
    reader.read(THREAD, 0, true);
    const interval = reader.read(THREAD, 1000, true);
    assert.ok(typeof interval === 'object');
    assert.equal(interval.sleptInVmm, slept);
    // It ran for 1 % of the interval, so it is not known where it slept before.
    set(8, { schedstat: '10000010 20 31' });
    const next = reader.read(THREAD, 2000, true);
    assert.ok(typeof next === 'object');
    assert.equal(next.sleptInVmm, false);
  });

test('a paused vCPU that is woken for a moment, as QEMU does to read its statistics, still sleeps in its VMM', (t) => {
  const { root, set } = newProc(t);
  const reader = new UsageReader(root);
  const slept = (schedstat: string, atMs: number, wchan?: string) => {
    set(8, { schedstat, stat: [0, 0, 0], ...(wchan !== undefined && { wchan }) });
    const interval = reader.read(THREAD, atMs, true);
    return typeof interval === 'object' ? interval.sleptInVmm : interval;
  };
  assert.equal(slept('1000 0 30', 0, 'futex_wait_queue'), 'first');
  assert.equal(slept('1000 0 30', 2000), true);
  assert.equal(slept('51000 0 31', 4000), true);
  assert.equal(slept('51000 0 31', 6000), true);
  // It was started again, and halts.
  assert.equal(slept('91000 0 32', 8000, 'kvm_vcpu_block'), false);
  assert.equal(slept('131000 0 33', 10_000, 'futex_wait_queue'), false);
});

test('a thread that has not run is asked for its schedstat only, until it runs again', (t) => {
  const { root, set } = newProc(t);
  const reader = new UsageReader(root);
  const read = (atMs: number) => {
    const interval = reader.read(THREAD, atMs, true);
    assert.ok(typeof interval === 'object');
    return interval;
  };
  set(8, { schedstat: '1000 20 30', stat: [100, 20, 60], wchan: 'futex_wait_queue' });
  reader.read(THREAD, 0, true);
  assert.equal(read(2000).sleptInVmm, true);
  // The kernel cannot say this of a thread that has not run: reading these files would show.
  set(8, { stat: [900, 900, 900], wchan: 'kvm_vcpu_block' });
  assert.deepEqual(read(4000), {
    wallNs: 2e9,
    runNs: 0,
    waitNs: 0,
    ticks: { user: 0, system: 0, guest: 0, isRunnable: false },
    sleptInVmm: true,
  });
  set(8, { schedstat: '2000 20 31', stat: [104, 21, 63] });
  const { ticks, sleptInVmm } = read(6000);
  assert.deepEqual(ticks, { user: 4, system: 1, guest: 3, isRunnable: false });
  assert.equal(sleptInVmm, false);
});

test('a thread that waits for a CPU since its latest reading still does', (t) => {
  const { root, set } = newProc(t);
  const reader = new UsageReader(root);
  set(8, { schedstat: '1000 20 30', stat: [100, 20, 60], wchan: '0', state: 'R' });
  reader.read(THREAD, 0, true);
  const interval = reader.read(THREAD, 500, true);
  assert.ok(typeof interval === 'object');
  assert.equal(interval.ticks?.isRunnable, true);
  assert.equal(interval.sleptInVmm, false);
});

test('another thread with the same id begins at 0, and a thread that is gone has no reading', (t) => {
  const { root, set } = newProc(t);
  const reader = new UsageReader(root);
  set(8, { schedstat: '900 20 30' });
  assert.equal(reader.read(THREAD, 0, false), 'first');
  set(8, { schedstat: '100 2 3' });
  assert.equal(reader.read(THREAD, 1000, false), 'first');
  assert.equal(reader.read({ pid: 7, tid: 9 }, 1000, false), undefined);
  // A kernel without CONFIG_SCHED_INFO
  set(8, { schedstat: '0 0 0' });
  assert.equal(reader.read(THREAD, 2000, false), undefined);
  for (const text of ['', 'x', '1 2', '1 2 3 4', '-1 2 3']) {
    set(8, { schedstat: text });
    assert.equal(reader.read(THREAD, 2000, false), undefined);
  }
});

test('kvm_pvm does not tell its time in guests, and Intel, AMD and arm64 do', (t) => {
  for (const [modules, tells] of [
    [['kvm', 'kvm_pvm'], false],
    [['kvm', 'kvm_intel', 'irqbypass'], true],
    [['kvm', 'kvm_amd'], true],
    [['kvm'], true],
  ] as const) {
    const folder = temporaryFolder(t, 'modules');
    for (const name of modules) mkdirSync(join(folder, name));
    assert.equal(tellsGuestTime(folder), tells, modules.join());
  }
});

/** Rounds over threads of a /proc; each look at the clock takes a millisecond. */
/** @param listMs time that it takes to list the threads */
function newRounds(t: TestContext, count: number, listMs = 0) {
  const tids = Array.from({ length: count }, (_, index) => index + 100);
  const { root, set } = newProc(t, tids);
  for (const tid of tids) set(tid, { schedstat: '1 1 1' });
  const added: number[] = [];
  let nowMs = 0;
  const listener: UsageListener = {
    threads: () => {
      nowMs += listMs;
      return tids.map((tid) => ({ pid: 7, tid }));
    },
    needsTicks: () => false,
    add: (tid) => added.push(tid),
  };
  const rounds = new UsageRounds(
    root,
    listener,
    () => ++nowMs,
    () => nowMs,
  );
  const at = (ms: number, budgetMs: number, forSnapshot = false) => {
    nowMs = ms;
    rounds.read(ms, budgetMs, forSnapshot);
    return added.splice(0);
  };
  return { at, tids };
}

test('a round is divided among calls, and each thread is read once', (t) => {
  const { at, tids } = newRounds(t, 100);
  const first = at(1000, 3);
  assert.ok(first.length > 0 && first.length < 100);
  const all = [...first];
  for (let ms = 1100; all.length < 100; ms += 100) all.push(...at(ms, 3));
  assert.deepEqual(
    all.sort((a, b) => a - b),
    tids,
  );
});

test('the next round begins after two seconds, or with a snapshot', (t) => {
  const { at } = newRounds(t, 8);
  assert.equal(at(1000, 10).length, 8);
  assert.equal(at(2500, 10).length, 0);
  assert.equal(at(2500, 10, true).length, 8);
  assert.equal(at(2600, 10, true).length, 0);
  assert.equal(at(4600, 10).length, 8);
});

test('rounds that take long are seldom', (t) => {
  const { at } = newRounds(t, 800);
  // The clock shows 100 ms for a round: 0.8 % of a CPU is a round in 12.5 s.
  assert.equal(at(1000, 1000).length, 800);
  assert.equal(at(13_000, 1000).length, 0);
  assert.equal(at(15_000, 1000).length, 800);
});

test('the time that it takes to list the threads counts for the limit', (t) => {
  const { at } = newRounds(t, 8, 100);
  assert.equal(at(1000, 1000).length, 8);
  assert.equal(at(13_000, 1000).length, 0);
  assert.equal(at(15_000, 1000).length, 8);
});
