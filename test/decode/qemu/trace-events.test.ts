import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTraceEvents } from '../../../src/decode/qemu/trace-events.js';
import { readFixture } from '../../support/fixtures.js';

test('an enabled event', () => {
  assert.deepEqual(
    parseTraceEvents('kvm_run_exit(int cpu_index, uint32_t reason) "cpu_index %d, reason %d"\n').events,
    [{ name: 'kvm_run_exit', disabled: false }],
  );
});

test('disabled events keep their place; properties and formats of any shape are understood', () => {
  const { events } = parseTraceEvents(
    [
      '# See docs/devel/tracing.rst',
      '',
      '  # kvm-all.c',
      'one(void) ""',
      'disable two(int a) "%d"',
      'vcpu three(void)',
      'disable vcpu tcg four(uint64_t vaddr) "a (%d)", "b (%d)"',
      'five ( int a ) "x"',
      'six(int a',
      'not an event',
      'seven(uint64_t a) "a=0x%016"PRIx64" b (c)"\r',
    ].join('\n'),
  );
  assert.deepEqual(
    events.map(({ name, disabled }) => [name, disabled]),
    [
      ['one', false],
      ['two', true],
      ['three', false],
      ['four_trans', true],
      ['four_exec', true],
      ['seven', false],
    ],
  );
});

test('the list of a real QEMU is read completely', () => {
  const text = readFixture('qemu-simple/trace-events-all').toString('latin1');
  const { events } = parseTraceEvents(text);
  // grep -cvE '^\s*(#|$)' and grep -c ^disable
  assert.equal(events.length, 5062);
  assert.equal(events.filter(({ disabled }) => disabled).length, 15);
  // grep -vE '^\s*(#|$)' | grep -n '^kvm_run_exit(', less one
  assert.equal(
    events.findIndex(({ name }) => name === 'kvm_run_exit'),
    486,
  );
});

test('text that is not such a list has no events', () => {
  assert.deepEqual(parseTraceEvents('').events, []);
  assert.deepEqual(parseTraceEvents(`${'a '.repeat(20_000)}b(int c) ""\n\0()\n(((\n`).events, []);
});
