import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pacer } from '../../../src/agent/pace/pacer.js';

const MIB = 1 << 20;

/** Milliseconds from a drain that read so many bytes to the next drain, in whole ticks. */
function pauseAfter(pacer: Pacer, bytes: number): number {
  pacer.drained(bytes, false, 0);
  let nowMs = 0;
  do nowMs += pacer.pauseMs;
  while (!pacer.isDue(nowMs));
  return nowMs;
}

/** The pause after many drains that each read so many bytes of a buffer of 16 MiB. */
function pauseAt(bytes: number): number {
  const pacer = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pacer, bytes);
  return pauseAfter(pacer, bytes);
}

test('the next drain comes sooner after one that found a buffer more than half full', () => {
  assert.equal(pauseAt(9 * MIB), 10);
  const pacer = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pacer, 0);
  const quiet = pauseAfter(pacer, 0);
  const full = pauseAfter(pacer, 9 * MIB);
  assert.ok(full <= 0.6 * quiet, `${full} ms after ${quiet} ms`);
});

test('a load that the buffers hold easily is drained seldom, but more than once per second', () => {
  for (const bytes of [0, 3 * MIB]) {
    assert.ok(pauseAt(bytes) >= 300);
    assert.ok(pauseAt(bytes) <= 1000);
  }
});

test('ticks are frequent enough to see a short-lived VM, even if drains are seldom', () => {
  const pacer = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pacer, 0);
  assert.ok(pacer.pauseMs >= 50);
  assert.ok(pacer.pauseMs <= 150);
});

test('ticks are fewer on a host where nothing was started for half a minute', () => {
  const pacer = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pacer, 0);
  const pauses = [0, 29_000, 31_000, 0].map((ms) => {
    pacer.idleFor(ms);
    return pacer.pauseMs;
  });
  assert.deepEqual(pauses, [100, 100, 250, 100]);
  pacer.idleFor(60_000);
  pacer.wakeSoon();
  assert.ok(pacer.pauseMs <= 30);
});

test('there are no ticks between drains while a watcher reports new VMs', () => {
  const pacer = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pacer, 0);
  pacer.watching(true);
  assert.equal(pacer.pauseMs, 500);
  pacer.idleFor(0);
  assert.equal(pacer.pauseMs, 100);
});

test('drains are fewer while no VM runs, and no rarer than before once one does', () => {
  const pacer = new Pacer(16 * MIB);
  pacer.watching(false);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pacer, 0);
  assert.equal(pauseAfter(pacer, 0), 2000);
  pacer.watching(true);
  assert.ok(pauseAfter(pacer, 0) <= 500);
  assert.ok(pauseAfter(pacer, 4 * MIB) <= 500);
});

test('a guest that starts to write 33 MB a second does not fill a small buffer before the next drain', () => {
  for (const size of [MIB, 2 * MIB, 8 * MIB, 16 * MIB]) {
    const pacer = new Pacer(size);
    for (let drain = 0; drain < 100; drain++) pauseAfter(pacer, 0);
    pacer.watching(true);
    const pauseMs = pauseAfter(pacer, 0);
    assert.ok(33_000 * pauseMs <= size, `${pauseMs} ms with ${size} bytes`);
  }
});

test('drains are half as many while only exits to QEMU are recorded, and as many as before from the next tick on', () => {
  for (const size of [MIB, 4 * MIB, 16 * MIB]) {
    const pacer = new Pacer(size);
    pacer.watching(true, true);
    for (let drain = 0; drain < 100; drain++) pauseAfter(pacer, 0);
    const rareMs = pauseAfter(pacer, 0);
    // 500,000 records of 24 bytes a second: 8 of header and time, and 16 of kvm_userspace_exit.
    assert.ok(500 * 24 * rareMs <= size, `${rareMs} ms with ${size} bytes`);
    pacer.watching(true);
    assert.ok(pauseAfter(pacer, 0) <= rareMs / 2);
  }
});

test('a drain that ran out of time is followed by another one at once', () => {
  const pacer = new Pacer(16 * MIB);
  pacer.drained(0, true, 1000);
  assert.deepEqual([pacer.pauseMs, pacer.isDue(1000)], [0, true]);
  pacer.drained(0, false, 1001);
  assert.deepEqual([pacer.pauseMs > 0, pacer.isDue(1001)], [true, false]);
});

test('drains follow each other closely while a VM starts', () => {
  const pacer = new Pacer(16 * MIB);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pacer, 0);
  const quiet = pauseAfter(pacer, 0);
  pacer.wakeSoon();
  assert.ok(pauseAfter(pacer, 0) <= 30);
  for (let drain = 0; drain < 100; drain++) pauseAfter(pacer, 0);
  assert.equal(pauseAfter(pacer, 0), quiet);
});

test('a host is quiet while a watcher reports no VM, and none is about to run', () => {
  const pacer = new Pacer(16 * MIB);
  const isQuiet = () => {
    pacer.drained(0, false, 0);
    return pacer.isQuiet;
  };
  assert.equal(isQuiet(), false);
  pacer.watching(false);
  assert.equal(isQuiet(), true);
  pacer.wakeNow(); // another program wrote to the instance
  assert.equal(pacer.isQuiet, false);
  assert.equal(isQuiet(), true);
  pacer.wakeSoon(); // a VM starts
  assert.equal(isQuiet(), false);
  for (let drains = 0; drains < 20; drains++) isQuiet();
  assert.equal(isQuiet(), true);
  pacer.watching(true);
  assert.equal(isQuiet(), false);
  pacer.watching(false);
  pacer.idleFor(60_000); // no watcher
  assert.equal(isQuiet(), false);
});
