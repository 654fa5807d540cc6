import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brief, COLUMNS, share } from '../../../src/commands/top/columns.js';
import { listText } from '../../../src/commands/top/list-view.js';
import { newState } from '../../../src/commands/top/ui-state.js';
import { ratesOf, vmRowOf } from '../../support/agent/fake-agent.js';

const RATES: readonly (readonly [value: number | null, text: string])[] = [
  [null, '?'],
  [0, '0'],
  [0.04, '<0.1'],
  [0.26, '0.3'],
  [9.96, '10'],
  [999.4, '999'],
  [9999, '9999'],
  [9999.6, '10.0k'],
  [123_456, '123k'],
  [999_600, '1.00M'],
  [1_234_567, '1.23M'],
  [5e12, '5000G'],
];

for (const [value, text] of RATES) test(`${value} per second is ${text}`, () => assert.equal(brief(value), text));

test('no rate is wider than its column', () => {
  for (let value = 0.001; value < 1e13; value *= 1.037)
    assert.ok(brief(value).length <= 6, `${value}: ${brief(value)}`);
});

test('a small share is not shown as none, and one that is not known not as 0', () => {
  assert.deepEqual(
    [null, 0, 0.001, 0.004, 0.006, 1].map((value) => share(value)),
    ['?', '0%', '<1%', '<1%', '1%', '100%'],
  );
  assert.deepEqual(
    [0.0004, 0.0006, 0.606].map((value) => share(value, 1)),
    ['<0.1%', '0.1%', '60.6%'],
  );
});

test('text for programs has every column and cuts none', () => {
  const vm = `long-${'x'.repeat(120)}`;
  const lines = listText(ratesOf([vmRowOf({ vm, vcpus: 3 })]), newState('qemu', 2000));
  assert.ok(lines[1]?.startsWith(`${vm} `));
  for (const { title } of COLUMNS) assert.ok(lines[0]?.includes(title), title);
});
