import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  bootMs,
  innermostTid,
  parseStat,
  processIds,
  readProcess,
  readStat,
  readThreadCgroup,
  readThreadStat,
  tgidOf,
  threadIds,
} from '../../../src/vm/host/proc.js';
import { ProcTree } from '../../support/agent/proc-tree.js';
import { fixture } from '../../support/fixtures.js';

const SVM = fixture('svm/two-vms-6.12/proc');
const C1 = fixture('ftrace-text/c1-top-notgid-all/fixture/proc');

const NAMES = ['plain', 'CPU 0/KVM', 'a) S 1 2 (b', ') R', '((', 'x\ny', '', 'ünïcode'];

for (const comm of NAMES) {
  test(`readStat reads the start time behind the name ${JSON.stringify(comm)}`, (t) => {
    const tree = new ProcTree(t);
    tree.put({ pid: 10, comm, startTime: 4711, parent: 7 });
    assert.deepEqual(readStat(tree.root, 10), { comm, isEnding: false, parent: 7, kernel: false, startTime: 4711 });
  });
}

const BROKEN = ['', '10', '10 (a', '10 a) S', '10 (a) S 1 2', ')(', `10 (a) S ${'0 '.repeat(18)}x 0`];

for (const text of BROKEN) {
  test(`parseStat rejects ${JSON.stringify(text.slice(0, 12))}`, () => {
    assert.equal(parseStat(text), undefined);
  });
}

test('readProcess reads a recorded VMM', () => {
  const process = readProcess(C1, 7514);
  assert.ok(process !== undefined);
  assert.equal(process.comm, 'qemu-system-x86');
  assert.equal(process.startTime, 257361);
  assert.equal(process.args[0], '/opt/traced-qemu-7.2.22-01/qemu-system-x86_64');
  assert.equal(process.args.length, 32);
  assert.match(process.args.at(-1) ?? '', /\/c1-top-notgid-all\/vm-a\.log$/);
  assert.match(process.cgroup, /^9:name=systemd:\/\n[\s\S]*\n0::\/\n$/);
});

test('readProcess marks kernel threads', () => {
  const process = readProcess(C1, 7524);
  assert.equal(process?.kernel, true);
  assert.equal(process?.comm, 'kvm-pit/7514');
  assert.deepEqual(process?.args, []);
});

test('readProcess keeps empty arguments, and arguments without a NUL at the end', (t) => {
  const tree = new ProcTree(t);
  tree.put({ pid: 10, args: ['a', '', 'b', ''] });
  assert.deepEqual(readProcess(tree.root, 10)?.args, ['a', '', 'b', '']);
  writeFileSync(join(tree.root, '10/cmdline'), 'nginx: worker process');
  assert.deepEqual(readProcess(tree.root, 10)?.args, ['nginx: worker process']);
});

test('innermostTid returns the id in the innermost pid namespace', (t) => {
  const tree = new ProcTree(t);
  tree.put({ pid: 43110, ids: [43110, 99, 72], threads: [{ tid: 43120, ids: [43120, 105, 80] }] });
  assert.equal(innermostTid(tree.root, 43110, 43110), 72);
  assert.equal(innermostTid(tree.root, 43110, 43120), 80);
  assert.equal(innermostTid(tree.root, 43110, 5), 5);
});

test('readProcess does not mix two processes with the same id', (t) => {
  const tree = new ProcTree(t);
  tree.put({ pid: 10, comm: 'old', startTime: 1, args: ['old'] });
  const before = readStat(tree.root, 10);
  tree.put({ pid: 10, comm: 'new', startTime: 2, args: ['new'] });
  assert.equal(readProcess(tree.root, 10, before), undefined);
  tree.put({ pid: 10, comm: 'exec', startTime: 1, args: ['exec'] });
  assert.equal(readProcess(tree.root, 10, before), undefined, 'the process became another program');
  tree.remove(10);
  assert.equal(readProcess(tree.root, 10, before), undefined, 'the process vanished');
});

test('processes and threads that do not exist are undefined', (t) => {
  const tree = new ProcTree(t);
  tree.put({ pid: 10, threads: [{ tid: 11 }] });
  assert.equal(readProcess(tree.root, 9), undefined);
  assert.equal(readStat(tree.root, 9), undefined);
  assert.equal(threadIds(tree.root, 9), undefined);
  assert.equal(readThreadStat(tree.root, 10, 12), undefined);
  assert.equal(tgidOf(tree.root, 11), undefined);
  assert.equal(processIds(join(tree.root, 'nowhere')), undefined);
});

test('readThreadStat reads the recorded threads', () => {
  const names = new Map(threadIds(SVM, 178)?.map((tid) => [tid, readThreadStat(SVM, 178, tid)?.comm]));
  assert.deepEqual(
    new Map([...names].sort(([a], [b]) => a - b)),
    new Map([
      [178, 'qemu-system-x86'],
      [183, 'qemu-system-x86'],
      [185, 'trace-thread'],
      [187, 'CPU 0/KVM'],
      [188, 'CPU 1/KVM'],
      [196, 'kvm-nx-lpage-re'],
    ]),
  );
});

test("readThreadCgroup reads each thread's own cgroup", (t) => {
  const tree = new ProcTree(t);
  tree.put({ pid: 10, cgroup: '0::/kata_overhead/b1\n', threads: [{ tid: 11, cgroup: '0::/pod\n' }, { tid: 12 }] });
  rmSync(join(tree.root, '10/task/12'), { recursive: true });
  const cgroups = [10, 11, 12].map((tid) => readThreadCgroup(tree.root, 10, tid));
  assert.deepEqual(cgroups, ['0::/kata_overhead/b1\n', '0::/pod\n', '']);
});

test('tgidOf answers for main threads of a saved copy', () => {
  assert.equal(tgidOf(SVM, 178), 178);
  assert.equal(tgidOf(SVM, 187), undefined);
});

test('the live /proc knows this process', () => {
  const self = readProcess('/proc', process.pid);
  assert.equal(self?.args[0], process.argv0);
  assert.equal(self?.parent, process.ppid);
  assert.equal(self?.pid, process.pid);
  assert.ok(processIds('/proc')?.includes(process.pid));
  const other = threadIds('/proc', process.pid)?.find((tid) => tid !== process.pid);
  assert.ok(other !== undefined, 'Node has threads');
  assert.equal(tgidOf('/proc', other), process.pid);
});

test('the start of the host is not taken for earlier because /proc was read late', (t) => {
  const tree = new ProcTree(t);
  const boot = (uptime: string, nowMs: number, before: number) => {
    tree.write('uptime', `${uptime} 1.00\n`);
    return bootMs(tree.root, nowMs, before);
  };
  assert.equal(boot('10.00', 12_000, Number.NaN), 2000);
  assert.equal(boot('10.30', 12_000, 2000), 2000);
  assert.equal(boot('10.00', 12_009, 2000), 2009, 'uptime was rounded down');
  // While the host is suspended, uptime goes on, the clock of the agent does not.
  assert.equal(boot('70.00', 12_010, 2009), -57_990);
  tree.write('uptime', '');
  assert.equal(bootMs(tree.root, 12_020, -57_990), -57_990);
});
