import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openFile } from '../../../src/source/recording/recording-file.js';
import { collectGarbage } from '../../support/collect-garbage.js';
import { fixture } from '../../support/fixtures.js';

test('an opened recording keeps none of its content in memory', async () => {
  const opened = [];
  for (let i = 0; i < 60; i++) opened.push(await openFile(fixture('svm/two-vms-6.12/trace_pipe.txt'), undefined));
  // Buffers are freed some turns of the event loop after the file was closed.
  let megabytes = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 500 && megabytes >= 20; tries++) {
    await sleep(20);
    collectGarbage();
    megabytes = process.memoryUsage().arrayBuffers / 1e6;
  }
  assert.ok(megabytes < 20, `${megabytes} MB for ${opened.length} files`);
});
