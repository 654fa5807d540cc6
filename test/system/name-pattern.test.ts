import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namePattern } from '../../src/system/name-pattern.js';

for (const [pattern, matching, different] of [
  ['kvm_*', ['kvm_run_exit', 'kvm_'], ['xkvm_run', 'kvm']],
  ['a.b', ['a.b'], ['axb', 'a.bc', 'a.']],
  ['x(1)', ['x(1)'], ['x1']],
  ['[a-c]?', ['b2'], ['d2', 'b', 'b22']],
  ['[!a-c_]*', ['d', 'x1'], ['a', '_x', '']],
  ['*.log', ['.log', 'a.log', 'a.log.log'], ['a.log.1', 'log']],
  ['*a*b', ['ab', 'xaxbxb', 'aab'], ['ba', 'a', 'abx']],
  ['[[]x]', ['[x]'], ['x', '[[]x]']],
  ['[z-a]', [], ['a', 'z', '-', 'm']],
  ['[', ['['], ['', '[[']],
  ['*', ['', 'any'], []],
  ['', [''], ['x']],
] as const)
  test(`the pattern "${pattern}" matches all of a name`, () => {
    for (const name of matching) assert.equal(namePattern(pattern)(name), true, name);
    for (const name of different) assert.equal(namePattern(pattern)(name), false, name);
  });
