import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Response } from 'express';
import { Exposition } from '../../../src/web/metrics/exposition.js';
import { OpenResponses } from '../../../src/web/metrics/open-responses.js';

/** Open responses at a time that the test sets, and responses that note whether they were disconnected. */
function setUp() {
  let nowMs = 0;
  const gone: string[] = [];
  const open = new OpenResponses(() => nowMs);
  const response = (name: string) => ({ destroy: () => void gone.push(name) }) as unknown as Response;
  const exposition = (bytes: number) => new Exposition([Buffer.alloc(bytes)], 1, () => {});
  const at = (ms: number) => {
    nowMs = ms;
  };
  return { open, gone, response, exposition, at };
}

test('clients of the oldest exposition are disconnected when there are more than eight', () => {
  const { open, gone, response, exposition } = setUp();
  const shared = exposition(1000);
  open.add(response('a'), shared);
  open.add(response('b'), shared);
  const c = response('c');
  open.add(c, exposition(1000));
  open.delete(c);
  for (let i = 1; i <= 7; i++) open.add(response(String(i)), exposition(1000));
  assert.deepEqual(gone, []);
  open.add(response('8'), exposition(1000));
  assert.deepEqual(gone, ['a', 'b']);
});

test('expositions that are being read have 48 MiB at most, but the newest may have any size', () => {
  const { open, gone, response, exposition } = setUp();
  for (const name of ['1', '2', '3']) open.add(response(name), exposition(16 << 20));
  assert.deepEqual(gone, []);
  open.add(response('4'), exposition(1));
  assert.deepEqual(gone, ['1']);
  open.add(response('5'), exposition(60 << 20));
  assert.deepEqual(gone, ['1', '2', '3', '4']);
});

test('only a client that has been reading for two seconds gives way to another', () => {
  const { open, gone, response, exposition, at } = setUp();
  assert.equal(open.disconnectSlowest(), false);
  open.add(response('slow'), exposition(1));
  at(1000);
  open.add(response('other'), exposition(1));
  at(1999);
  assert.equal(open.disconnectSlowest(), false);
  at(2000);
  assert.deepEqual([open.disconnectSlowest(), open.disconnectSlowest()], [true, false]);
  assert.deepEqual(gone, ['slow']);
});
