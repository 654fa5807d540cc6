/** The VMs that `record` notes, on trees that look like /proc and like KVM's folder in debugfs. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmCapture } from '../../src/vm/vm-capture.js';
import { ProcTree } from '../support/agent/proc-tree.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** libvirt's child waits for its parent, which sets up cgroups, before it becomes QEMU. */
test('a process that becomes a VMM long after it started is noted when KVM creates its VM', async (t) => {
  const tree = new ProcTree(t);
  const debugfs = temporaryFolder(t, 'kvm');
  tree.write('loadavg', '0.1 0.1 0.1 1/100 600\n');
  // Many other processes: each has its turn in one of many scans.
  for (let pid = 100; pid < 600; pid++) tree.put({ pid, comm: 'bash', hasVm: false });
  tree.put({ pid: 600, comm: 'libvirtd', hasVm: false });
  const capture = new VmCapture(tree.root, debugfs);
  t.after(() => capture.close());
  capture.scan();
  capture.scan();
  const args = ['qemu-system-x86_64', '-accel', 'kvm', '-name', 'guest=late'];
  tree.put({ pid: 600, comm: 'qemu-system-x86', args, threads: [{ tid: 601, comm: 'CPU 0/KVM' }] });
  capture.scanNew();
  assert.deepEqual([...capture.labels], []);
  mkdirSync(join(debugfs, '600-11'));
  for (let waits = 0; capture.labels.size === 0 && waits < 3000; waits++) {
    await sleep(10);
    capture.scanNew();
  }
  assert.deepEqual([...capture.labels], ['late']);
  assert.match(capture.notes(), /"threads":\{"600":"qemu-system-x86","601":"CPU 0\/KVM"\}/);
});
