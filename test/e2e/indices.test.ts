/**
 * What exits were for, on a real kvm_intel host: MSRs, CPUID leaves and hypercalls are known from the guests' code.
 * Every view has them: JSON and text of `report`, `top`, the page of a VM, the dashboard.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detailView } from '../../src/commands/top/detail-view.js';
import { Ledger } from '../../src/count/ledger.js';
import { FtraceTextDecoder } from '../../src/decode/ftrace/text-decoder.js';
import { VmRates } from '../../src/rates/vm-rates.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';
import { vmPage } from '../../src/web/vm-page.js';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture, readJson } from '../support/fixtures.js';
import { DASHBOARDS, targetsOf } from '../support/prometheus/dashboards.js';

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

/** Rows of `report` as text, of `top` and of the page: VM, event, which, times. */
const VIEW_ROWS = expectedRows().map((row) => {
  const [, vm = '', event = '', which = '', times = ''] =
    /^(\S+) (msr \w+|cpuid|hypercall) (\S+) (\d+)$/.exec(row) ?? [];
  const title = { cpuid: 'CPUID', hypercall: 'hypercall (kvm)' }[event] ?? event.replace('msr', 'MSR');
  return { vm, event: title, which, times };
});

test('report shows them as a table', () => {
  const { stdout } = runAgent('report', '--path.procfs', fixture(`${RECORDING}/proc`), fixture(RECORDING));
  const [, table = ''] = /What other exits were for\n\n([\s\S]*?)\n\n/.exec(stdout) ?? [];
  const rows = table.split('\n').map((line) => line.split(/ {2,}/).join(' | '));
  for (const { vm, event, which, times } of VIEW_ROWS)
    assert.ok(rows.includes(`${vm} | ${event} | ${which} | ${times}`));
});

test('top and the page of a VM list them', () => {
  const ledger = new Ledger({ ownerOf: () => ({ vm: { label: 'vm', pid: 1 }, vcpu: '0' }) as never });
  const before = takeSnapshot(ledger.totals(), []);
  const decoder = new FtraceTextDecoder(ledger.vocabulary, ledger.kernelSource('tracefs'));
  decoder.push(readFixture(`${RECORDING}/trace.txt`));
  decoder.end();
  const after = takeSnapshot(ledger.totals(), []);
  let nowMs = 0;
  const rates = new VmRates(() => (nowMs === 0 ? before : after), { now: () => nowMs });
  rates.observe();
  nowMs = 10_000;
  rates.observe();
  const detail = rates.detail('vm') ?? assert.fail();
  const top = detailView(detail, 200).map((line) => line.trim().split(/ {2,}/).join(' | '));
  const options = { version: '1', telemetryPath: '/metrics', notice: undefined, href: (name: string) => name };
  const page = vmPage(options, detail, [])
    .split('<tr>')
    .map((row) =>
      row
        .split(/<[^>]*>|\n/)
        .filter(Boolean)
        .join(' | '),
    );
  const sums = new Map<string, number>();
  for (const { event, which, times } of VIEW_ROWS) {
    const key = `${event} | ${which}`;
    sums.set(key, (sums.get(key) ?? 0) + Number(times));
  }
  for (const [key, times] of sums) {
    const isRow = (row: string) => row.startsWith(key) && Number(row.split(' | ').at(-1)) === times / 10;
    assert.ok(top.some(isRow), `top: ${key} ${times / 10}/s\n${top.join('\n')}`);
    assert.ok(page.some(isRow), `page: ${key} ${times / 10}/s`);
  }
});

test('the dashboard of a VM has a panel for each metric of the collector', () => {
  const queries = DASHBOARDS.filter(({ file }) => file === 'vm.json').flatMap((dashboard) =>
    targetsOf(dashboard).map(({ target }) => target.expr),
  );
  const metrics = [
    ...['kvm_msr_exits_total', 'kvm_cpuid_exits_total', 'kvm_hypercalls_total', 'kvm_page_faults_total'],
    ...['kvm_nested_exits_total', 'kvm_ghcb_exits_total', 'kvm_apicv_inhibits_total', 'kvm_apicv_inhibited'],
  ];
  for (const metric of metrics)
    assert.ok(
      queries.some((query) => query.includes(`${metric}{`)),
      metric,
    );
});

test('exits of a guest of a guest are counted by reason, and those of the guest itself are apart from them', () => {
  type Counts = Readonly<Record<string, number>>;
  const { nested, outer } = readJson<{ readonly nested: Counts; readonly outer: Counts }>('nested/expected.json');
  const { nested_exits, exits } = reportOf(fixture('nested/outer.dat'));
  assert.deepEqual(Object.fromEntries(nested_exits.map(({ reason, count }) => [reason, count])), nested);
  for (const [reason, count] of Object.entries(outer)) {
    const all = exits.find((row) => row.layer === 'kvm' && row.reason === reason)?.count;
    assert.equal(all, count + (nested[reason] ?? 0), reason);
  }
});
