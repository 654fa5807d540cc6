import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identifyVmm } from '../../../src/vm/identify/cmdline.js';
import { newVm } from '../../../src/vm/tables/vm.js';
import { collectGarbage } from '../../support/collect-garbage.js';

const VMS = 100;
const COMMAND_LINE_BYTES = 256_000;

test('what is kept of a VM takes no memory for the rest of its command line', () => {
  const kept: string[] = [];
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (let pid = 1; pid <= VMS; pid++) {
    const name = `a-name-of-more-than-a-dozen-letters-${pid}`;
    const text = Buffer.from(`qemu-system-x86_64\0-name\0guest=${name}\0${'x'.repeat(COMMAND_LINE_BYTES)}`).toString();
    const identity = identifyVmm(text.split('\0'), 'qemu-system-x86') ?? assert.fail('no VM');
    const { label, ...vm } = newVm({ pid, startTime: pid, startSeconds: pid, uid: 0 }, identity, {});
    assert.equal(vm.name, name);
    kept.push(label);
  }
  collectGarbage();
  const growth = process.memoryUsage().heapUsed - before;
  assert.ok(growth < (VMS * COMMAND_LINE_BYTES) / 10, `${growth} bytes more for ${kept.length} names`);
});
