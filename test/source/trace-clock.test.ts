import assert from 'node:assert/strict';
import { test } from 'node:test';
import { monotonicNs, parseOffset } from '../../src/source/trace-clock.js';

test('the shift of a time namespace is read as the kernel writes it', () => {
  const offsets = (line: string) => `${line}\nboottime            7         0\n`;
  assert.equal(parseOffset(offsets('monotonic           0         0')), 0);
  assert.equal(parseOffset(offsets('monotonic      172800         0')), 172_800e9);
  assert.equal(parseOffset(offsets('monotonic        -100 500000000')), -99.5e9);
  assert.equal(parseOffset(''), 0);
});

test('the clock goes forward', () => {
  const before = monotonicNs();
  assert.ok(before > 0 && monotonicNs() >= before);
});
