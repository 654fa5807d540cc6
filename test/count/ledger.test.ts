/** Nothing is counted twice when several sources report one VM. Expected counts were made by hand. */

import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { attributionOf } from '../../src/agent/attribution.js';
import { vmInfosOf } from '../../src/agent/vm-infos.js';
import { Ledger } from '../../src/count/ledger.js';
import type { Attribution, ThreadOwner } from '../../src/count/thread-owners.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';
import { Inventory } from '../../src/vm/inventory.js';
import { vm } from '../support/agent/inventory-tree.js';
import { ProcTree } from '../support/agent/proc-tree.js';

const [VM_A, VM_B] = [{ label: 'vm-a' }, { label: 'vm-b' }];

/**
 * Threads 10x belong to vm-a, 20x to vm-b: 100 and 200 are the processes, 101 runs vCPU 0, 102 vCPU 1. The rest is
 * unknown.
 */
const OWNERS: Attribution = {
  ownerOf(tid): ThreadOwner {
    const vm = new Map([
      [10, VM_A],
      [20, VM_B],
    ]).get(Math.floor(tid / 10));
    return { vm, vcpu: vm === undefined || tid % 10 === 0 ? '' : String((tid % 10) - 1) };
  },
};

/** `vm vcpu layer reason` -> count. */
function exitsOf(ledger: Ledger): Record<string, number> {
  const rows = takeSnapshot(ledger.totals()).exits.map((exit) => [
    `${exit.vm} ${exit.vcpu} ${exit.layer} ${exit.reason}`,
    exit.count,
  ]);
  assert.equal(new Set(rows.map(([key]) => key)).size, rows.length, 'a series occurs twice');
  return Object.fromEntries(rows);
}

const IO = 'KVM_EXIT_IO';
const MMIO = 'KVM_EXIT_MMIO';

/** Feeds the ledger what one source reports. */
type Source = (ledger: Ledger) => void;

const kernel =
  (exits: readonly (readonly [tid: number, vcpu: number, reason: string, userspace?: string])[]): Source =>
  (ledger) => {
    const source = ledger.kernelSource('ftrace');
    const { reasons } = ledger.vocabulary;
    for (const [tid, vcpu, reason, userspace] of exits) {
      source.vmExit(1, 0, tid, vcpu, reasons.id(reason), 0);
      if (userspace !== undefined) source.userspaceExit(2, 0, tid, reasons.id(userspace));
      source.vmEntry(3, 0, tid, vcpu);
    }
  };

/** A trace file of QEMU. Ids are thread ids in a log, a process id in a simple trace. */
const qemu =
  (
    backend: 'log' | 'simple',
    name: string,
    runs: readonly (readonly [id: number, cpu: number, reason: string])[],
  ): Source =>
  (ledger) => {
    const source = ledger.qemu.add(backend, { labelOf: () => name });
    for (const [id, cpu, reason] of runs) {
      source.qemuEvent(1, id, ledger.vocabulary.qemuEvents.id('kvm_run_exit'));
      source.qemuRunExit(1, id, cpu, ledger.vocabulary.reasons.id(reason));
    }
  };

const markers =
  (runs: readonly (readonly [tid: number, cpu: number, reason: string])[]): Source =>
  (ledger) => {
    const source = ledger.kernelSource('ftrace');
    for (const [tid, cpu, reason] of runs) {
      source.qemuEvent(1, tid, ledger.vocabulary.qemuEvents.id('kvm_run_exit'));
      source.qemuRunExit(1, tid, cpu, ledger.vocabulary.reasons.id(reason));
    }
  };

const RUNS = [
  [101, 0, IO],
  [101, 0, IO],
  [102, 1, MMIO],
] as const;
const KERNEL = kernel([
  [101, 0, 'io', IO],
  [101, 0, 'hlt'],
  [101, 0, 'io', IO],
  [102, 1, 'npf', MMIO],
  [102, 1, 'interrupt', 'restart'],
]);
const MARKERS = markers(RUNS);
const LOG = qemu('log', 'vm-a', RUNS);
const SIMPLE = qemu(
  'simple',
  'vm-a',
  RUNS.map(([, cpu, reason]) => [100, cpu, reason] as const),
);

const KVM_LAYER = { 'vm-a 0 kvm io': 2, 'vm-a 0 kvm hlt': 1, 'vm-a 1 kvm npf': 1, 'vm-a 1 kvm interrupt': 1 };
const QEMU_LAYER = { [`vm-a 0 qemu ${IO}`]: 2, [`vm-a 1 qemu ${MMIO}`]: 1 };
const ALL = { ...KVM_LAYER, ...QEMU_LAYER, 'vm-a 1 qemu restart': 1 };

const ROWS: { name: string; sources: Source[]; want: Record<string, number> }[] = [
  { name: 'the kernel alone', sources: [KERNEL], want: ALL },
  { name: 'the kernel, markers, log and simple trace', sources: [KERNEL, MARKERS, LOG, SIMPLE], want: ALL },
  { name: 'markers alone', sources: [MARKERS], want: QEMU_LAYER },
  { name: 'a log alone', sources: [LOG], want: QEMU_LAYER },
  { name: 'log, simple trace and markers without the kernel', sources: [LOG, SIMPLE, MARKERS], want: QEMU_LAYER },
  {
    name: 'the kernel of one VM and the log of another',
    sources: [KERNEL, qemu('log', 'vm-b', [[0, 0, IO]])],
    want: { ...ALL, [`vm-b 0 qemu ${IO}`]: 1 },
  },
  {
    name: 'kvm_exit without kvm_userspace_exit, and a log that has the other layer',
    sources: [
      kernel([
        [101, 0, 'io'],
        [101, 0, 'io'],
        [102, 1, 'npf'],
      ]),
      LOG,
    ],
    want: { 'vm-a 0 kvm io': 2, 'vm-a 1 kvm npf': 1, ...QEMU_LAYER },
  },
  {
    name: 'a memory fault, which the kernel calls an error and QEMU by its name',
    sources: [kernel([[101, 0, 'npf', 'error']]), qemu('log', 'vm-a', [[101, 0, 'KVM_EXIT_MEMORY_FAULT']])],
    want: { 'vm-a 0 kvm npf': 1, 'vm-a 0 qemu error': 1 },
  },
  {
    name: 'the kernel, which missed some exits, and a log',
    sources: [kernel([[101, 0, 'io', IO]]), LOG],
    want: { 'vm-a 0 kvm io': 1, [`vm-a 0 qemu ${IO}`]: 1 },
  },
  {
    name: 'a rotated log',
    sources: [LOG, qemu('log', 'vm-a', [[101, 0, IO]]), qemu('log', 'vm-a', [[102, 1, IO]])],
    want: { [`vm-a 0 qemu ${IO}`]: 3, [`vm-a 1 qemu ${MMIO}`]: 1, [`vm-a 1 qemu ${IO}`]: 1 },
  },
  {
    name: 'a rotated log and a simple trace that missed some exits',
    sources: [LOG, qemu('log', 'vm-a', [[101, 0, IO]]), SIMPLE],
    want: { [`vm-a 0 qemu ${IO}`]: 3, [`vm-a 1 qemu ${MMIO}`]: 1 },
  },
  {
    name: 'a log and a simple trace that each missed some exits',
    sources: [
      qemu('log', 'vm-a', [[101, 0, IO]]),
      qemu('simple', 'vm-a', [
        [100, 0, IO],
        [100, 0, IO],
        [100, 1, MMIO],
      ]),
    ],
    want: QEMU_LAYER,
  },
  {
    name: 'two kernel traces, one after the other',
    sources: [KERNEL, kernel([[101, 0, 'io', IO]])],
    want: { ...ALL, 'vm-a 0 kvm io': 3, [`vm-a 0 qemu ${IO}`]: 3 },
  },
  {
    name: 'unknown threads',
    sources: [
      kernel([
        [7, 0, 'io', IO],
        [8, -1, 'hlt'],
        [9, -1, 'hlt'],
      ]),
    ],
    want: { ' 0 kvm io': 1, [` 0 qemu ${IO}`]: 1, '  kvm hlt': 2 },
  },
  {
    name: 'a log of a VM, and unknown threads in the kernel trace',
    sources: [kernel([[7, 0, 'io', IO]]), LOG],
    want: { ' 0 kvm io': 1, [` 0 qemu ${IO}`]: 1, ...QEMU_LAYER },
  },
];

function orders<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, index) =>
    orders(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  );
}

describe('each transition is counted once from', () => {
  for (const { name, sources, want } of ROWS) {
    it(`${name}, in any order`, () => {
      for (const order of orders(sources)) {
        const ledger = new Ledger(OWNERS);
        for (const source of order) source(ledger);
        assert.deepEqual(exitsOf(ledger), want);
      }
    });
  }
});

test("QEMU's own count is kept as a cross-check, once, however many of its backends report it", () => {
  const ledger = new Ledger(OWNERS);
  for (const source of [KERNEL, MARKERS, LOG, SIMPLE]) source(ledger);
  assert.deepEqual(takeSnapshot(ledger.totals()).qemuEvents, [{ vm: 'vm-a', event: 'kvm_run_exit', count: 3 }]);
});

test('exits of unknown threads are counted as unattributed', () => {
  const ledger = new Ledger(OWNERS);
  kernel([
    [7, 0, 'io', IO],
    [8, -1, 'hlt'],
    [101, 0, 'io', IO],
  ])(ledger);
  assert.equal(takeSnapshot(ledger.totals()).unattributedEvents, 3);
});

test('the vCPUs that one thread runs in turn are counted separately, in both layers', () => {
  const ledger = new Ledger(OWNERS);
  kernel([
    [7, 0, 'io', IO],
    [7, 1, 'npf', MMIO],
    [7, 0, 'io', IO],
    [7, 1, 'hlt'],
    [7, 2, 'io', IO],
    [7, 1, 'npf', MMIO],
  ])(ledger);
  assert.deepEqual(exitsOf(ledger), {
    ' 0 kvm io': 2,
    [` 0 qemu ${IO}`]: 2,
    ' 1 kvm npf': 2,
    ' 1 kvm hlt': 1,
    [` 1 qemu ${MMIO}`]: 2,
    ' 2 kvm io': 1,
    [` 2 qemu ${IO}`]: 1,
  });
});

test('a userspace exit before the first event that names the vCPU belongs to that vCPU', () => {
  const ledger = new Ledger(OWNERS);
  const source = ledger.kernelSource('ftrace');
  const { reasons } = ledger.vocabulary;
  source.userspaceExit(1, 0, 7, reasons.id('KVM_EXIT_INTR'));
  source.vmEntry(2, 0, 7, 3);
  source.vmExit(3, 0, 7, 3, reasons.id('io'), 0);
  assert.deepEqual(exitsOf(ledger), { ' 3 qemu KVM_EXIT_INTR': 1, ' 3 kvm io': 1 });
});

test('a vCPU number from the thread name and one from events are the same vCPU', () => {
  const ledger = new Ledger(OWNERS);
  kernel([[101, -1, 'io', IO]])(ledger);
  kernel([[101, 0, 'io', IO]])(ledger);
  assert.deepEqual(exitsOf(ledger), { 'vm-a 0 kvm io': 2, [`vm-a 0 qemu ${IO}`]: 2 });
});

test('two VMs with the same name are counted separately', (t) => {
  const tree = new ProcTree(t);
  tree.put(vm(100, 'web'));
  tree.put(vm(200, 'web'));
  const inventory = new Inventory({ procfs: tree.root, live: false });
  inventory.scan(0);
  const ledger = new Ledger(attributionOf(inventory));
  kernel([
    [101, 0, 'io', IO],
    [201, 0, 'io'],
    [201, 0, 'io'],
  ])(ledger);
  assert.deepEqual(exitsOf(ledger), { 'web 0 kvm io': 1, [`web 0 qemu ${IO}`]: 1, 'web (200) 0 kvm io': 2 });
  assert.deepEqual(
    takeSnapshot(ledger.totals(), vmInfosOf(inventory)()).vms.map(({ vm, pid, vcpus }) => `${vm} ${pid} ${vcpus}`),
    ['web 100 1', 'web (200) 200 1'],
  );
});

test('names beyond the capacity of the tables are counted as other, and the totals stay exact', () => {
  const ledger = new Ledger(OWNERS);
  const source = ledger.kernelSource('ftrace');
  const { reasons, tracepoints, qemuEvents } = ledger.vocabulary;
  const count = 10_000;
  for (let i = 0; i < count; i++) {
    source.tracepoint(i, 0, 101, tracepoints.id(`kvm_t${i}`));
    source.vmExit(i, 0, 101, 0, reasons.id(`r${i}`), 0);
    source.userspaceExit(i, 0, 101, reasons.id(`u${i}`));
    source.qemuEvent(i, 101, qemuEvents.id(`q_${i}`));
  }
  const sum = (counts: readonly { count: number }[]): number => counts.reduce((total, row) => total + row.count, 0);
  const snapshot = takeSnapshot(ledger.totals());
  const layer = (name: string) => snapshot.exits.filter((exit) => exit.layer === name);
  for (const counts of [layer('kvm'), layer('qemu'), snapshot.tracepoints, [...snapshot.qemuEvents]]) {
    assert.equal(sum(counts), count);
    assert.ok(counts.length < count, 'no names were dropped');
  }
  const other = snapshot.exits.filter(({ reason }) => reason === 'other');
  assert.equal(sum(other), 2 * count - (snapshot.exits.length - other.length));
});

test('the counts of an ended thread stay with its VM when its id is reused', () => {
  const ledger = new Ledger(OWNERS);
  kernel([[101, 0, 'io', IO]])(ledger);
  takeSnapshot(ledger.totals());
  ledger.endThread(101);
  kernel([[101, 0, 'io', IO]])(ledger);
  assert.deepEqual(exitsOf(ledger), { 'vm-a 0 kvm io': 2, [`vm-a 0 qemu ${IO}`]: 2 });
});

test('a hundred lives of a VM count in the same series, of which none falls, and need the memory of one', () => {
  let life = { label: 'web' };
  const ledger = new Ledger({ ownerOf: (tid) => ({ vm: tid < 10_000 ? life : undefined, vcpu: '0' }) });
  const source = ledger.kernelSource('tracefs');
  const reason = ledger.vocabulary.reasons.id('io');
  let shown = takeSnapshot(ledger.totals());
  for (let n = 1; n <= 100; n++) {
    life = { label: 'web' };
    source.vmExit(n * 1000, 0, n, 0, reason, 0);
    source.vmEntry(n * 1000 + 100, 0, n, 0);
    ledger.resolveOwners(0);
    const before = shown;
    shown = takeSnapshot(ledger.totals());
    const figures = ({ exits, durations, vcpuTimes }: typeof shown) => [
      [...exits][0]?.count ?? 0,
      [...durations][0]?.count ?? 0,
      [...vcpuTimes][0]?.kvmSeconds ?? 0,
    ];
    assert.deepEqual(
      figures(shown).map((value) => Number(value.toFixed(9))),
      [n, n, Number((n * 100e-9).toFixed(9))],
    );
    assert.ok(figures(shown).every((value, index) => value > (figures(before)[index] ?? 0)));
    ledger.endThread(n);
  }
  assert.equal([...ledger.vcpus()].length, 1);
  ledger.forget(life);
  assert.equal([...ledger.vcpus()].length, 0);
  assert.equal(takeSnapshot(ledger.totals()).exits.length, 0);
});

test('losses are added up by source and CPU; gaps of unknown size are counted separately', () => {
  const ledger = new Ledger(OWNERS);
  const source = ledger.kernelSource('ftrace');
  source.lost(1, 10);
  source.lost(0, 5);
  source.lost(1, 1);
  source.lost(1, -1);
  source.malformed('line');
  source.malformed('line');
  const [state] = takeSnapshot(ledger.totals()).sources;
  assert.deepEqual(state?.lost, [
    { cpu: '0', events: 5, unknownGaps: 0 },
    { cpu: '1', events: 11, unknownGaps: 1 },
  ]);
  assert.deepEqual(state?.malformed, [{ kind: 'line', count: 2 }]);
});

test('losses stay counted when new buffers, whose statistics begin at 0, replace the old ones', () => {
  const ledger = new Ledger(OWNERS);
  const counts = ledger.kernelSource('ftrace');
  const lost = () => takeSnapshot(ledger.totals()).sources[0]?.lost.map(({ cpu, events }) => [cpu, events]);
  counts.lost(0, 5);
  counts.source.overruns = new Map([
    [0, 8],
    [1, 2],
  ]);
  assert.deepEqual(lost(), [
    ['0', 8],
    ['1', 2],
  ]);
  counts.endBuffers();
  assert.deepEqual(lost(), [
    ['0', 8],
    ['1', 2],
  ]);
  counts.source.overruns = new Map([[0, 3]]);
  assert.deepEqual(lost(), [
    ['0', 11],
    ['1', 2],
  ]);
});

test('losses stay counted when another program empties a buffer, whose statistics then begin at 0', () => {
  const ledger = new Ledger(OWNERS);
  const counts = ledger.kernelSource('ftrace');
  const lost = () => takeSnapshot(ledger.totals()).sources[0]?.lost.map(({ cpu, events }) => [cpu, events]);
  const statistics = (cpu0: number, cpu1: number) =>
    counts.source.updateOverruns(
      new Map([
        [0, cpu0],
        [1, cpu1],
      ]),
    );
  statistics(8, 2);
  statistics(9, 2);
  statistics(0, 2);
  assert.deepEqual(lost(), [
    ['0', 9],
    ['1', 2],
  ]);
  statistics(4, 5);
  assert.deepEqual(lost(), [
    ['0', 13],
    ['1', 5],
  ]);
});
