import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALL_NEEDED_EVENTS, EVENT_FORMS, neededEvents } from '../../../src/decode/kvm/events.js';

const NONE = { duration: false, causes: false, io: false, eventfd: false, indices: false };
const EXITS = ['kvm_exit', 'kvm_userspace_exit', 'kvm_s390_sie_exit', 'kvm_guest_exit'];

test('exits are counted without any collector', () => {
  assert.deepEqual(neededEvents(NONE), EXITS);
});

for (const [collector, added] of [
  ['duration', ['kvm_entry', 'kvm_enter', 'kvm_reenter', 'kvm_s390_sie_enter', 'kvm_guest_enter']],
  ['causes', []],
  ['io', ['kvm_pio', 'kvm_mmio', 'kvm_fast_mmio']],
  ['eventfd', ['kvm_pio', 'kvm_mmio', 'kvm_fast_mmio', 'kvm_msi_set_irq']],
  [
    'indices',
    [
      'kvm_msr',
      'kvm_cpuid',
      'kvm_hypercall',
      'kvm_hv_hypercall',
      'kvm_xen_hypercall',
      'kvm_page_fault',
      'kvm_nested_vmexit',
      'kvm_vmgexit_enter',
      'kvm_vmgexit_msr_protocol_enter',
      'kvm_apicv_inhibit_changed',
    ],
  ],
] as const) {
  test(`the collector ${collector} adds ${added.length} tracepoints`, () => {
    assert.deepEqual(neededEvents({ ...NONE, [collector]: true }), [...EXITS, ...added]);
  });
}

test('every name is listed once', () => {
  assert.equal(new Set(ALL_NEEDED_EVENTS).size, ALL_NEEDED_EVENTS.length);
  assert.deepEqual([...EVENT_FORMS.keys()], [...ALL_NEEDED_EVENTS, 'sched_process_exit', 'task_newtask']);
  assert.deepEqual(
    neededEvents({ duration: true, causes: true, io: true, eventfd: true, indices: true }),
    ALL_NEEDED_EVENTS,
  );
});
