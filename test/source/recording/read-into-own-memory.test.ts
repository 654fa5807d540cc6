/** Reading a file into two buffers that take turns. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readIntoOwnMemory } from '../../../src/source/recording/pages/read-chunks.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const CHUNK = 1000;

function fileWith(t: TestContext, bytes: Uint8Array): string {
  const path = join(temporaryFolder(t, 'chunks'), 'file');
  writeFileSync(path, bytes);
  return path;
}

function isOpen(path: string): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  });
}

test('the chunks are the file, each valid until the next one is asked for', async (t) => {
  for (const length of [0, 1, CHUNK, 2 * CHUNK, 7 * CHUNK + 123]) {
    const bytes = randomBytes(length);
    const path = fileWith(t, bytes);
    const copies: Buffer[] = [];
    let read = 0;
    const onRead = (count: number) => {
      read += count;
    };
    for await (const chunk of readIntoOwnMemory(path, onRead, CHUNK)) {
      // The next chunk is being read meanwhile: it must not change this one.
      await new Promise(setImmediate);
      copies.push(Buffer.from(chunk));
    }
    assert.ok(Buffer.concat(copies).equals(bytes), `${length} bytes`);
    assert.equal(read, length);
    assert.equal(isOpen(path), false);
  }
});

test('a caller that stops early leaves no file open', async (t) => {
  const path = fileWith(t, randomBytes(5 * CHUNK));
  const chunks = readIntoOwnMemory(path, undefined, CHUNK);
  await chunks.next();
  assert.equal(isOpen(path), true);
  await chunks.return('whole');
  assert.equal(isOpen(path), false);
});

test('a file that is missing is a problem for the user', async () => {
  await assert.rejects(readIntoOwnMemory('/nonexistent/file', undefined).next(), {
    message: /^\/nonexistent\/file: /,
  });
});
