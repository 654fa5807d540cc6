/** What `stat` refuses before it touches the host. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';

const run = (...args: string[]) => spawnSync(PROGRAM, [...PROGRAM_ARGS, 'stat', ...args], { encoding: 'utf8' });

const WRONG = [
  [['5'], /stat 5: expected a duration from 100ms to 1d; to count while a program runs: stat -- 5/],
  [['0s'], /expected a duration/],
  [['sleep', '10'], /stat sleep 10: expected a duration from 100ms to 1d; .* stat -- sleep 10/],
  [['1s', '--', 'true'], /stat 1s -- true: give a duration or a program, not both/],
  [['--format=prometheus'], /choose table, json or csv/],
  [['--format=xml'], /--format=xml: expected/],
] as const;

for (const [args, message] of WRONG)
  test(`stat ${args.join(' ')}`, () => {
    const { status, stderr, stdout } = run(...args);
    assert.equal(status, 2, stderr);
    assert.match(stderr, message);
    assert.equal(stdout, '');
  });

test('--help after -- is for the program', () => {
  const { stdout } = run('1s', '--', 'true', '--help');
  assert.equal(stdout, '');
  assert.match(run('--help', '--', 'true').stdout, /usage: kvm-exit-exporter stat .*\[DURATION\] \[-- PROGRAM/);
});
