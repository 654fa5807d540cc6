import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noteVm, parseNotedVms } from '../../../src/vm/tables/noted-vm.js';
import { newVm } from '../../../src/vm/tables/vm.js';

const START = { pid: 155, startTime: 812, startSeconds: 8.12, uid: 107 };
const VM = newVm(START, { vmm: 'qemu', name: 'vm "a"\n', uuid: 'u', vmi: 'x', namespace: 'n' }, { podUid: 'p' });
const THREADS = new Map([
  [155, 'qemu-system-x86'],
  [158, 'CPU 0/KVM'],
]);

test('a note is one line, and says of a VM what it was made of', () => {
  const line = noteVm({ vm: VM, threads: THREADS });
  assert.ok(!line.includes('\n'));
  assert.deepEqual(parseNotedVms(`${line}\n`), [{ vm: VM, threads: THREADS }]);
});

test('other lines are left out, and texts are cut', () => {
  const lines = [
    'no JSON',
    '{"pid":',
    '[]',
    'null',
    '{"statistics":"start","vm":"155-11","values":{"exits":5}}',
    '{"pid":-1,"startTime":1}',
    '{"pid":1e99,"startTime":1}',
    '{"pid":5,"startTime":"1"}',
  ];
  assert.deepEqual(parseNotedVms(lines.join('\n')), []);
  const [noted] = parseNotedVms(
    `{"pid":5,"startTime":1,"name":"${'x'.repeat(5000)}","__proto__":{"uuid":"y"},"threads":{"6":7,"x":"a","-1":"b"}}`,
  );
  assert.equal(noted?.vm.name.length, 1024);
  assert.equal(noted?.vm.uuid, '');
  assert.deepEqual([...(noted?.threads ?? [])], [[6, '']]);
});
