import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATE_PREFIX, NO_PREFIX, QemuLogPrefix, THREAD_PREFIX } from '../../../src/decode/qemu/log-prefix.js';

/** Lines and what their prefix holds. Seconds are from `date -u -d 2026-11-23T00:55:58 +%s` and the like. */
const CASES: readonly (readonly [line: string, kind: number, seconds: number, tid: number, text: string])[] = [
  ['11225@1795395358.699146:kvm_run_exit', THREAD_PREFIX, 1795395358.699146, 11225, 'kvm_run_exit'],
  ['1@5.5:a_b', THREAD_PREFIX, 5.5, 1, 'a_b'],
  ['1@5.000001:a_b', THREAD_PREFIX, 5.000001, 1, 'a_b'],
  ['2026-11-23T00:55:58.699146Z kvm_run_exit', DATE_PREFIX, 1795395358.699146, 0, 'kvm_run_exit'],
  ['2026-11-23T00:55:58Z kvm_run_exit', DATE_PREFIX, 1795395358, 0, 'kvm_run_exit'],
  ['2026-11-23T00:55:58.699146Z (11225) kvm_run_exit', DATE_PREFIX, 1795395358.699146, 11225, 'kvm_run_exit'],
  ['2024-02-29T23:59:59.5Z a_b', DATE_PREFIX, 1709251199.5, 0, 'a_b'],
  ['1970-01-01T00:00:00.000001Z a_b', DATE_PREFIX, 0.000001, 0, 'a_b'],
  ['2000-03-01T00:00:00Z a_b', DATE_PREFIX, 951868800, 0, 'a_b'],
  ['2026-11-23T00:55:58Z (vm) x', DATE_PREFIX, 1795395358, 0, '(vm) x'],
  ['2026-11-23T00:55:58Z () x', DATE_PREFIX, 1795395358, 0, '() x'],
  ['2026-11-23 00:55:58.000+0000: starting up', NO_PREFIX, Number.NaN, 0, '2026-11-23 00:55:58.000+0000: starting up'],
  ['2026-13-23T00:55:58Z a_b', NO_PREFIX, Number.NaN, 0, '2026-13-23T00:55:58Z a_b'],
  ['2026-1x-23T00:55:58Z a_b', NO_PREFIX, Number.NaN, 0, '2026-1x-23T00:55:58Z a_b'],
  ['2026-11-23T00:55:58.69', NO_PREFIX, Number.NaN, 0, '2026-11-23T00:55:58.69'],
  ['11225@1795395358.699146', NO_PREFIX, Number.NaN, 0, '11225@1795395358.699146'],
  ['11225@.699146:a_b', NO_PREFIX, Number.NaN, 0, '11225@.699146:a_b'],
  ['kvm_run_exit cpu_index 0, reason 2', NO_PREFIX, Number.NaN, 0, 'kvm_run_exit cpu_index 0, reason 2'],
  ['', NO_PREFIX, Number.NaN, 0, ''],
];

for (const [line, kind, seconds, tid, text] of CASES) {
  test(`the prefix of "${line}"`, () => {
    const prefix = new QemuLogPrefix();
    const bytes = Buffer.from(`--${line}@1.0:Z (5) `);
    prefix.scan(bytes, 2, 2 + line.length);
    assert.deepEqual(
      [prefix.kind, prefix.tid, bytes.toString('latin1', prefix.textStart, 2 + line.length)],
      [kind, tid, text],
    );
    // A wall clock in nanoseconds is above 2^53, so it is exact to 256 ns only.
    if (Number.isNaN(seconds)) assert.ok(Number.isNaN(prefix.timeNs));
    else assert.ok(Math.abs(prefix.timeNs - seconds * 1e9) <= 512, String(prefix.timeNs));
  });
}

test('the cached minute is not used for another minute', () => {
  const prefix = new QemuLogPrefix();
  const times = [
    '2026-11-23T00:55:58Z x',
    '2026-11-23T00:55:59Z x',
    '2026-11-23T00:56:00Z x',
    '2026-11-23T00:56:0xZ x',
    '2026-11-23T00:56:01Z x',
  ].map((line) => {
    prefix.scan(Buffer.from(line), 0, line.length);
    return prefix.timeNs / 1e9;
  });
  assert.deepEqual(times, [1795395358, 1795395359, 1795395360, Number.NaN, 1795395361]);
});
