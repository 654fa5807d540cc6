import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkBufferMemory } from '../../../../src/commands/check/probe-tracefs.js';
import { defaultBufferSize, onlineCpus } from '../../../../src/source/tracefs/control/buffer-size.js';

const MIB = 1 << 20;

test('the buffers take 256 MiB in all, at least 1 MiB and at most 16 MiB per CPU', () => {
  const sizes = [1, 2, 16, 17, 32, 128, 256, 257, 512].map((cpus) => defaultBufferSize(cpus) / MIB);
  assert.deepEqual(sizes, [16, 16, 16, 15, 8, 2, 1, 1, 1]);
  for (let cpus = 1; cpus <= 256; cpus++) {
    const size = defaultBufferSize(cpus);
    assert.ok(size >= MIB && size <= 16 * MIB && size * cpus <= 256 * MIB, `${cpus} CPUs: ${size} bytes each`);
    assert.equal(size % (64 * 1024), 0);
  }
});

test('CPUs that are online are counted from the list of the kernel', () => {
  // Documentation/admin-guide/cputopology.rst: lists such as `0-3,5`.
  assert.deepEqual(['0\n', '0-31\n', '0-3,5\n', '0,2-3,64-127\n'].map(onlineCpus), [1, 32, 5, 67]);
  assert.ok(onlineCpus('') >= 1);
});

test('check says what the buffers take of the kernel', () => {
  const text = (size: number | undefined, cpus: number) => checkBufferMemory(size, cpus).text.replace(/ in all.*/, '');
  assert.equal(text(undefined, 32), '8 MiB for each of 32 CPUs, 256 MiB');
  assert.equal(text(undefined, 2), '16 MiB for each of 2 CPUs, 32 MiB');
  assert.equal(text(64 * MIB, 128), '64 MiB for each of 128 CPUs, 8,192 MiB');
});
