import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VmRates } from '../../src/rates/vm-rates.js';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import { statusLine } from '../../src/web/landing-page.js';
import { tableCells } from '../../src/web/vm-table.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { vcpuTimes } from '../support/agent/vcpu-times.js';
import { vmInfo } from '../support/agent/vm-info.js';

/**
 * Snapshot of a VM with two vCPUs that makes 1,000 exits to KVM and 100 to QEMU per second, while 5 events per second
 * are lost.
 */
function at(seconds: number, vm = 'web-1'): Snapshot {
  const exits = (['0', '1'] as const).flatMap((vcpu) => [
    { vm, vcpu, layer: 'kvm' as const, reason: 'io', count: 7 + 500 * seconds },
    { vm, vcpu, layer: 'qemu' as const, reason: 'KVM_EXIT_IO', count: 50 * seconds },
  ]);
  return {
    ...emptySnapshot(),
    exits,
    vcpuTimes: [
      vcpuTimes({ vm, vcpu: '0', kvmSeconds: 0.2 * seconds, qemuSeconds: 0.05 * seconds, readySeconds: 0.5 * seconds }),
    ],
    vms: [vmInfo({ vm, pid: '1', vcpus: 2 })],
    sources: [
      {
        source: 'tracefs',
        up: true,
        events: 1,
        drains: 1,
        drainSeconds: 1,
        lost: [{ cpu: '0', events: 5 * seconds, unknownGaps: 0 }],
        malformed: [],
      },
      { source: 'qemu_log', up: false, events: 0, drains: 0, drainSeconds: 0, lost: [], malformed: [] },
    ],
  };
}

const NO_STATISTICS = ['unknown', 'unknown', 'unknown'];
/** Top reason, top device, finding. */
const TOPS = ['KVM_EXIT_IO 100/s', '–', '–'];

/** Rates of a host whose snapshot at each second is that of `at`, observed at these seconds. */
function observed(...seconds: number[]): { rates: VmRates; setTime: (second: number) => void } {
  let now = 0;
  const rates = new VmRates(() => at(now), { now: () => now * 1000 });
  for (const second of seconds) {
    now = second;
    rates.observe();
  }
  return {
    rates,
    setTime: (second) => {
      now = second;
    },
  };
}

test('rates are differences between two snapshots', () => {
  const { rates, setTime } = observed(0);
  assert.deepEqual(tableCells(rates.current()), [
    ['web-1', '2', ...Array.from({ length: 11 }, () => '…'), '–', '–', '–'],
  ]);
  setTime(4);
  const answer = rates.current();
  assert.deepEqual(tableCells(answer), [
    [
      'web-1',
      '2',
      '1,000',
      '100',
      '10.0 %',
      ...NO_STATISTICS,
      'unknown',
      '20.0 %',
      '5.0 %',
      '50.0 %',
      'unknown',
      ...TOPS,
    ],
  ]);
  assert.equal(
    statusLine(answer),
    'Rates over the last 4.0 s. 20 events lost, 5 per second: the figures are too low. Not open: qemu_log.',
  );
});

test('rates cover ten seconds, whatever requests came before', () => {
  const { rates, setTime } = observed(0, 5, 10, 15, 20);
  setTime(21);
  assert.equal(rates.current().seconds, 10);
  assert.equal(rates.current(), rates.current());
  rates.observe();
  assert.equal(rates.current().seconds, 6);
  // Timers are late.
  assert.equal(observed(0, 5.01, 10.02, 15.03, 20.04).rates.current().seconds?.toFixed(2), '10.02');
  assert.equal(observed(0, 60).rates.current().seconds, 60);
});

test('while no figure of a VM changes, a snapshot is taken for a viewer only', () => {
  let seconds = 0;
  let isStarted = false;
  const snapshots: number[] = [];
  const observations: number[] = [];
  const rates = new VmRates(
    () => {
      snapshots.push(seconds);
      // The source is closed after 60 s. The VM starts after 70 s.
      if (isStarted) return at(seconds - 70);
      const [source] = at(seconds).sources;
      assert.ok(source !== undefined);
      return { ...emptySnapshot(), sources: [{ ...source, up: seconds < 60 }] };
    },
    {
      now: () => seconds * 1000,
      changes: () => (isStarted ? undefined : 7),
      onObservation: ({ atMs }) => observations.push(atMs / 1000),
    },
  );
  const observeAt = (...times: number[]) => {
    for (seconds of times) rates.observe();
  };
  observeAt(0, 5, 10, 15, 60);
  assert.deepEqual(snapshots, [0]);
  assert.deepEqual(rates.current().sources, [{ source: 'tracefs', up: false }]);
  assert.equal(rates.current(), rates.current());
  assert.deepEqual(snapshots, [0, 60]);
  observeAt(65, 70);
  isStarted = true;
  observeAt(75);
  assert.deepEqual(snapshots, [0, 60, 75]);
  assert.deepEqual(observations, [0, 5, 10, 15, 60, 65, 70, 75]);
  const [row] = rates.current().vms;
  // Of ten seconds, in which the VM ran for five.
  assert.deepEqual([row?.vm, row?.qemu_exits_per_second, rates.current().seconds], ['web-1', 50, 10]);
  observeAt(80, 85);
  assert.deepEqual(snapshots, [0, 60, 75, 80, 85]);
});

test('an exit that began before the period gives a vCPU no more than 100 %', () => {
  let nowMs = 0;
  let seconds = 0;
  const vcpu = (name: string, kvmSeconds: number, qemuSeconds: number) =>
    vcpuTimes({ vm: 'slow', vcpu: name, kvmSeconds, qemuSeconds });
  const rates = new VmRates(
    // vCPU 0: an exit of 30 s ends after 35 s. vCPU 1: half of its time in KVM.
    () => ({
      ...emptySnapshot(),
      exits: [{ vm: 'slow', vcpu: '1', layer: 'kvm', reason: 'npf', count: 1 }],
      vcpuTimes: [vcpu('0', 0, seconds >= 35 ? 30 : 0), vcpu('1', seconds / 2, 0)],
    }),
    { now: () => nowMs },
  );
  for (; seconds <= 35; seconds += 5, nowMs += 5000) {
    rates.observe();
    const [row] = rates.current().vms;
    if (seconds === 0) continue;
    assert.deepEqual([row?.time_outside_guest, row?.time_in_qemu], seconds < 35 ? [0.5, 0] : [1.5, 1]);
  }
});

/** The row of a VM, and its cells, on a host whose snapshots have only some of the rows of `at`. */
function shownOf(change: (snapshot: Snapshot) => Snapshot) {
  let now = 0;
  const rates = new VmRates(() => change(at(now)), { now: () => now * 1000 });
  rates.observe();
  now = 4;
  rates.observe();
  return { row: rates.current().vms[0], cells: tableCells(rates.current())[0] };
}

test('what the KVM of a host does not show is unknown, and never 0', () => {
  const noExits = shownOf((snapshot) => ({
    ...snapshot,
    exits: snapshot.exits.filter(({ layer }) => layer === 'qemu'),
    vcpuTimes: snapshot.vcpuTimes.map((row) => ({ ...row, kvmSeconds: undefined })),
  }));
  assert.deepEqual(noExits.cells, [
    'web-1',
    '2',
    'unknown',
    '100',
    'unknown',
    ...NO_STATISTICS,
    'unknown',
    'unknown',
    '5.0 %',
    '50.0 %',
    'unknown',
    ...TOPS,
  ]);
  assert.deepEqual(noExits.row, {
    vm: 'web-1',
    vcpus: 2,
    focused: false,
    kvm_exits_per_second: null,
    qemu_exits_per_second: 100,
    share_reaching_qemu: null,
    io_exits_per_second: null,
    mmio_exits_per_second: null,
    halts_per_second: null,
    time_outside_guest: null,
    time_in_qemu: 0.05,
    time_ready: 0.5,
    time_shares: { guest: null, kvm: null, qemu: 0.05, ready: 0.5, idle: null, unknown: null },
    top_reason: { layer: 'qemu', reason: 'KVM_EXIT_IO', exits_per_second: 100, seconds_per_second: null },
    top_device: null,
    finding: null,
  });
  const noEntries = shownOf((snapshot) => ({
    ...snapshot,
    vcpuTimes: snapshot.vcpuTimes.map(({ vm, vcpu }) => vcpuTimes({ vm, vcpu })),
  }));
  const noTimes = ['unknown', 'unknown', 'unknown', 'unknown', 'unknown', ...TOPS];
  assert.deepEqual(noEntries.cells, ['web-1', '2', '1,000', '100', '10.0 %', ...NO_STATISTICS, ...noTimes]);
  const withoutDurations = shownOf((snapshot) => ({ ...snapshot, vcpuTimes: [] }));
  assert.deepEqual(withoutDurations.cells, noEntries.cells);
  const nothingOpen = shownOf((snapshot) => ({
    ...emptySnapshot(),
    vms: snapshot.vms,
    sources: snapshot.sources.map((source) => ({ ...source, up: false })),
  }));
  assert.deepEqual(nothingOpen.cells, ['web-1', '2', ...Array.from({ length: 11 }, () => 'unknown'), '–', '–', '–']);
});

test('calls of KVM_RUN that failed are no exits that reach QEMU', () => {
  const { row } = shownOf((snapshot) => {
    const failed = ['restart', 'error'].flatMap((reason) =>
      snapshot.exits.map((exit) => (exit.layer === 'qemu' ? { ...exit, reason, count: exit.count * 100 } : exit)),
    );
    return { ...snapshot, exits: [...snapshot.exits, ...failed.filter(({ layer }) => layer === 'qemu')] };
  });
  assert.deepEqual([row?.qemu_exits_per_second, row?.share_reaching_qemu], [100, 0.1]);
});

test('an observation is followed by a pause a hundred times as long as its CPU time', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let cpuMs = 0;
  let clockMs = 0;
  let snapshots = 0;
  const rates = new VmRates(
    () => {
      cpuMs += 200;
      // Half a minute by the clock, of a busy host.
      clockMs += 30_000;
      snapshots++;
      return emptySnapshot();
    },
    { now: () => clockMs, cpuMs: () => cpuMs },
  );
  rates.start();
  t.mock.timers.tick(19_999);
  assert.equal(snapshots, 1);
  t.mock.timers.tick(1);
  assert.equal(snapshots, 2);
  rates.stop();
  t.mock.timers.tick(60_000);
  assert.equal(snapshots, 2);
});

test('a new VM has a rate from 0, and restarted counters have the rate 0', () => {
  let snapshot = at(100);
  let nowMs = 0;
  const rates = new VmRates(() => snapshot, { now: () => nowMs });
  rates.observe();
  snapshot = at(1);
  nowMs = 20_000;
  rates.observe();
  assert.deepEqual(
    rates.current().vms.map(({ kvm_exits_per_second }) => kvm_exits_per_second),
    [0],
  );
  snapshot = at(20, 'new');
  nowMs = 40_000;
  rates.observe();
  assert.deepEqual(
    rates.current().vms.map(({ vm, qemu_exits_per_second }) => [vm, qemu_exits_per_second]),
    [['new', 100]],
  );
});
