/** What exits were for, on a real kvm_intel host: MSRs, CPUID leaves and hypercalls are known from the guests' code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportOf } from '../support/agent/run-agent.js';
import { fixture, readJson } from '../support/fixtures.js';

const RECORDING = 'vmx/two-vms-6.1';

interface Expected {
  /** Counted by awk in the kernel's text: `msr` `msr_read 1b`, `cpuid` `func 0 idx 0`, `hypercall` `0x63`. */
  readonly indices: readonly {
    readonly vm: string;
    readonly event: 'msr' | 'cpuid' | 'hypercall';
    readonly index: string;
    readonly count: number;
  }[];
}

/** Name of MSR 0x1b (SDM vol. 4, table 2-2). */
const NAMES: Readonly<Record<string, string>> = { '1b': 'IA32_APIC_BASE' };

function expectedRows(): string[] {
  return readJson<Expected>(`${RECORDING}/expected.json`).indices.map(({ vm, event, index, count }) => {
    const [word = '', number = ''] = index.split(' ');
    if (event === 'msr') return `${vm} ${word.replace('_', ' ')} ${NAMES[number]} ${count}`;
    return `${vm} ${event} ${event === 'cpuid' ? `0x${number}` : word} ${count}`;
  });
}

const text = ['--path.procfs', fixture(`${RECORDING}/proc`), fixture(`${RECORDING}/trace.txt`)];
for (const [form, args] of [
  ['pages', [fixture(RECORDING)]],
  ['text', text],
] as const)
  test(`the ${form} of ${RECORDING} have the MSRs, CPUID leaves and hypercalls of the guests`, () => {
    const { msrs, cpuid_leaves, hypercalls } = reportOf(...args);
    const got = [
      ...msrs.map(({ vm, direction, msr, count }) => `${vm} msr ${direction} ${msr} ${count}`),
      ...cpuid_leaves.map(({ vm, leaf, count }) => `${vm} cpuid ${leaf} ${count}`),
      ...hypercalls.map(({ vm, number, count }) => `${vm} hypercall ${number} ${count}`),
    ];
    assert.deepEqual(got.sort(), expectedRows().sort());
  });
