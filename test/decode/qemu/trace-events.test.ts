import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTraceEvents } from '../../../src/decode/qemu/trace-events.js';
import { readFixture } from '../../support/fixtures.js';

function only(line: string) {
  const { events } = parseTraceEvents(line);
  assert.equal(events.length, 1);
  return events[0];
}

test('an event of numbers', () => {
  assert.deepEqual(only('kvm_run_exit(int cpu_index, uint32_t reason) "cpu_index %d, reason %d"\n'), {
    id: 0,
    name: 'kvm_run_exit',
    disabled: false,
    args: [
      { type: 'int', name: 'cpu_index', kind: 'integer' },
      { type: 'uint32_t', name: 'reason', kind: 'integer' },
    ],
    format: '"cpu_index %d, reason %d"',
  });
});

/** Arguments -> `type|name|kind` of each. */
const ARGUMENTS: readonly (readonly [string, string[]])[] = [
  ['void', []],
  ['', []],
  ['const char *name', ['const char *|name|string']],
  ['const char* name', ['const char*|name|string']],
  ['char *name', ['char *|name|string']],
  ['const char *const *names', ['const char *const *|names|string']],
  ['void *dev, int n', ['void *|dev|integer', 'int|n|integer']],
  ['const void *p', ['const void *|p|integer']],
  ['unsigned char c', ['unsigned char|c|integer']],
  ['uint8_t *buf', ['uint8_t *|buf|integer']],
  ['unsigned long long x', ['unsigned long long|x|integer']],
];

for (const [args, expected] of ARGUMENTS) {
  test(`the arguments (${args})`, () => {
    assert.deepEqual(
      only(`an_event(${args}) "%d"`)?.args.map(({ type, name, kind }) => `${type}|${name}|${kind}`),
      expected,
    );
  });
}

test('disabled events have a number, properties and formats in any shape are understood', () => {
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
    events.map(({ id, name, disabled, format }) => [id, name, disabled, format]),
    [
      [0, 'one', false, '""'],
      [1, 'two', true, '"%d"'],
      [2, 'three', false, ''],
      [3, 'four_trans', true, '"a (%d)", "b (%d)"'],
      [4, 'four_exec', true, '"a (%d)", "b (%d)"'],
      [5, 'seven', false, '"a=0x%016"PRIx64" b (c)"'],
    ],
  );
});

test('the list of a real QEMU is read whole', () => {
  const text = readFixture('qemu-simple/trace-events-all').toString('latin1');
  const { events } = parseTraceEvents(text);
  // grep -cvE '^\s*(#|$)' and grep -c ^disable
  assert.equal(events.length, 5062);
  assert.equal(events.filter(({ disabled }) => disabled).length, 15);
  // grep -vE '^\s*(#|$)' | grep -n '^kvm_run_exit(', less one
  assert.equal(events.find(({ name }) => name === 'kvm_run_exit')?.id, 486);
  assert.ok(events.every(({ id }, i) => id === i));
});

test('text that is no list has no events', () => {
  assert.deepEqual(parseTraceEvents('').events, []);
  assert.deepEqual(parseTraceEvents(`${'a '.repeat(20_000)}b(int c) ""\n\0()\n(((\n`).events, []);
});
