/** What costs the guests: the events that the agent enables on this host. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { startAgent, TRACEFS } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { liveTest } from '../support/guest/live-test.js';

afterEach(endAll);

/** The events of KVM that the agent enabled before it had the collector `indices`. */
const ALWAYS = [
  ...['kvm_entry', 'kvm_exit', 'kvm_fast_mmio', 'kvm_mmio', 'kvm_msi_set_irq', 'kvm_pio', 'kvm_userspace_exit'],
];
const INDICES = [
  ...['kvm_apicv_inhibit_changed', 'kvm_cpuid', 'kvm_hv_hypercall', 'kvm_hypercall', 'kvm_msr', 'kvm_nested_vmexit'],
  ...['kvm_page_fault', 'kvm_vmgexit_enter', 'kvm_vmgexit_msr_protocol_enter', 'kvm_xen_hypercall'],
];

/** Events of KVM that are enabled in a tracing instance, as the kernel lists them. */
function enabledIn(instance: string): string[] {
  const lines = readFileSync(`${TRACEFS}/instances/${instance}/set_event`, 'utf8').split('\n');
  return lines.flatMap((line) => (line.startsWith('kvm:') ? [line.slice('kvm:'.length)] : [])).sort();
}

const ofThisKernel = (names: readonly string[]) =>
  names.filter((name) => existsSync(`${TRACEFS}/events/kvm/${name}`)).sort();

test('by default no event of the collector indices is enabled; with it, exactly these are', liveTest(), async () => {
  const plain = await startAgent();
  assert.deepEqual(enabledIn(plain.instance), ofThisKernel(ALWAYS));
  await plain.stop();
  const full = await startAgent({ args: ['--collector.indices'] });
  assert.deepEqual(enabledIn(full.instance), ofThisKernel([...ALWAYS, ...INDICES]));
  await full.stop();
});

test('with all collectors off, exits are the only event', liveTest(), async () => {
  const args = ['duration', 'causes', 'io', 'eventfd'].map((name) => `--no-collector.${name}`);
  const agent = await startAgent({ args });
  assert.deepEqual(enabledIn(agent.instance), ofThisKernel(['kvm_exit', 'kvm_userspace_exit']));
  await agent.stop();
});
