import assert from 'node:assert/strict';
import { test } from 'node:test';
import { vmEvents } from '../../../src/agent/pace/vm-events.js';
import { Ledger } from '../../../src/count/ledger.js';

test('starts and ends of threads are no events of VMs', () => {
  const ledger = new Ledger({ ownerOf: () => ({ vm: undefined, vcpu: '' }) });
  const { tracepoints } = ledger.vocabulary;
  const counts = ledger.kernelSource('tracefs');
  const raise = (name: string) => counts.tracepoint(0, 0, 1, tracepoints.id(name));
  for (const name of ['task_newtask', 'sched_process_exit', 'sched_process_exit']) raise(name);
  assert.equal(vmEvents(counts, tracepoints), 0);
  for (const name of ['kvm_exit', 'task_newtask', 'kvm_entry']) raise(name);
  assert.equal(vmEvents(counts, tracepoints), 2);
});
