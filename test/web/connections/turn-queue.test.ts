import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextRound } from 'node:timers/promises';
import { isHealthCheck } from '../../../src/web/connections/health-check.js';
import { type Lane, TurnQueue } from '../../../src/web/connections/turn-queue.js';

/** Adds turns that note their names. */
function queued(...lanes: Lane[]): { turns: TurnQueue; taken: string[] } {
  const turns = new TurnQueue();
  const taken: string[] = [];
  for (const [index, lane] of lanes.entries()) turns.add({ takeTurn: () => taken.push(`${lane} ${index}`) }, lane);
  return { turns, taken };
}

const many = (count: number, lane: Lane): Lane[] => Array.from({ length: count }, () => lane);

test('health checks take their turns before 500 requests that were there before', async () => {
  const { taken } = queued(...many(250, 'rest'), ...many(250, 'first'), 'urgent', 'urgent');
  await nextRound();
  assert.deepEqual(taken.slice(0, 2), ['urgent 500', 'urgent 501']);
});

test('a flood of health checks leaves turns for other requests', async () => {
  const { taken } = queued(...many(400, 'urgent'), 'first', 'rest');
  for (let round = 0; round < 3; round++) await nextRound();
  assert.ok(taken.includes('first 400') && taken.includes('rest 401'), taken.join());
});

test('while clients connect, rounds are short, and no lane stands still', async () => {
  const { turns, taken } = queued(...many(100, 'first'), ...many(100, 'rest'));
  turns.noteConnection();
  await nextRound();
  assert.equal(taken.length, 0);
  for (let round = 0; round < 40; round++) {
    turns.noteConnection();
    await nextRound();
  }
  // One client connects in each round: its first turn has to come, too.
  assert.ok(taken.filter((name) => name.startsWith('first')).length >= 40, taken.join());
  assert.ok(
    taken.some((name) => name.startsWith('rest')),
    taken.join(),
  );
});

for (const [text, want] of [
  ['GET /-/healthy HTTP/1.1\r\n', true],
  ['HEAD /-/ready HTTP/1.1\r\n', true],
  ['GET /healthz HTTP/1.0\r\n', true],
  ['GET /readyz HTTP/1.1\r\n', true],
  ['GET /metrics HTTP/1.1\r\n', false],
  ['GET /-/healthy?x HTTP/1.1\r\n', false],
  ['POST /-/healthy HTTP/1.1\r\n', false],
  ['GET /-/healthy', false],
  ['GET', false],
  ['', false],
  ['\x16\x03\x01 \x00 ', false],
] as const)
  test(`${JSON.stringify(text)} is ${want ? 'a' : 'no'} health check`, () =>
    assert.equal(isHealthCheck(Buffer.from(text)), want));
