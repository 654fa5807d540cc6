/** Statistics over QMP: from a socket that answers as QEMU 7.2 did, and from sockets that do not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askQmp } from '../../../src/source/qemu/ask-qmp.js';
import { QmpDoor } from '../../../src/source/statistics/qmp-door.js';
import { startFakeQmp } from '../../support/agent/fake-qmp.js';
import { readJson } from '../../support/fixtures.js';

const ANSWERS = readJson<Record<'schemas' | 'cpus' | 'vm' | 'vcpu', unknown>>('qemu-stats/two-vcpus-7.2.json');

/** Answers as QEMU did. */
function likeQemu(): (command: string) => unknown {
  const stats = [ANSWERS.vm, ANSWERS.vcpu];
  return (command) => {
    if (command === 'query-stats-schemas') return ANSWERS.schemas;
    if (command === 'query-cpus-fast') return ANSWERS.cpus;
    return command === 'query-stats' ? stats.shift() : undefined;
  };
}

const readFrom = (path: string) => {
  const door = new QmpDoor((name) => ['exits', 'pages_4k', 'halt_wait_hist', 'halt_wait_ns'].includes(name));
  return askQmp(path, (qmp) => door.read(qmp, ({ index }) => index + 10));
};

test('each vCPU has the number that the caller gives it', async (t) => {
  const parts = await readFrom(await startFakeQmp(t, likeQemu()));
  assert.deepEqual(
    parts.map(({ key, vcpu, values }) => [key, vcpu, values.length]),
    [
      ['vm', '', 1],
      ['vcpu 1', '11', 3],
      ['vcpu 0', '10', 3],
    ],
  );
});

test('the question about the vCPUs is the last one, and is announced to the caller', async (t) => {
  const commands: string[] = [];
  const answer = likeQemu();
  const path = await startFakeQmp(t, (command) => {
    commands.push(command);
    return answer(command);
  });
  const before: number[] = [];
  const door = new QmpDoor(() => true);
  await askQmp(path, (qmp) =>
    door.read(
      qmp,
      ({ index }) => index,
      () => before.push(commands.length),
    ),
  );
  assert.deepEqual(before, [commands.length - 1]);
  assert.equal(commands.at(-1), 'query-stats');
});

test('a QEMU before 7.1 is reported with its own words', async (t) => {
  const desc = 'The command query-stats-schemas has not been found';
  const path = await startFakeQmp(t, () => `{"error": {"class": "CommandNotFound", "desc": "${desc}"}}\r\n`);
  await assert.rejects(readFrom(path), { name: 'AgentError', message: `${path}: query-stats-schemas: ${desc}` });
});

for (const [what, answer] of [
  ['an empty list', []],
  ['an object', {}],
  ['schemas of nothing', [{ provider: 'kvm', target: 'vcpu', stats: [] }]],
] as const)
  test(`a socket that answers everything with ${what} has no statistics`, async (t) => {
    const path = await startFakeQmp(t, () => answer);
    await assert.rejects(readFrom(path), /has no statistics of KVM/);
  });

test('a socket that answers nonsense, or drop by drop, is given up', async (t) => {
  await assert.rejects(readFrom(await startFakeQmp(t, () => 'nonsense\r\n')), /not a QMP socket/);
  // Each event is in time, but the answer never comes.
  const path = await startFakeQmp(t, () => `{"event": "STOP"}\r\n`);
  await assert.rejects(readFrom(path), /no answer to query-stats-schemas|too slowly/);
});

test('questions over one socket take turns', async (t) => {
  const order: string[] = [];
  const path = await startFakeQmp(t, () => ({ name: 'x' }));
  const ask = (name: string) =>
    askQmp(path, async (qmp) => {
      order.push(`${name} begins`);
      await qmp.identity();
      order.push(`${name} ends`);
    });
  await Promise.all([ask('one'), ask('two')]);
  assert.deepEqual(order, ['one begins', 'one ends', 'two begins', 'two ends']);
});
