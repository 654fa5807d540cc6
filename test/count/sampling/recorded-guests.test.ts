/**
 * Sampling a recording of three and a half minutes, in which every event is known: what would have been estimated, had
 * only a window of each period been traced. The true counts are those that other tools made of the recording.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KernelCounts } from '../../../src/count/kernel-counts.js';
import { Ledger } from '../../../src/count/ledger.js';
import { FtraceTextDecoder } from '../../../src/decode/ftrace/text-decoder.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';
import type { TraceSink } from '../../../src/trace/sink.js';
import { readFixture, readJson } from '../../support/fixtures.js';
import { type Random, randomFrom } from '../../support/random.js';

interface ExpectedExit {
  readonly vm: string;
  readonly vcpu: string;
  readonly layer: string;
  readonly reason: string;
  readonly count: number;
}

const TRUTH = readJson<{ readonly exits: readonly ExpectedExit[] }>('demo/full/expected.json').exits;
/** Processes of the recording, by its folder proc. */
const VMS = new Map([
  [165, 'web-1'],
  [167, 'legacy-db'],
]);
const TOTAL = { kind: 'total', isTime: false, length: 1 } as const;
/** Statistics of KVM beside `exits`, and the reason whose exits each counts. */
const OF_REASONS: Readonly<Record<string, string>> = {
  io_exits: 'io',
  halt_exits: 'hlt',
  irq_exits: 'interrupt',
  irq_window_exits: 'vintr',
};

type Method = keyof TraceSink;

interface Call {
  readonly method: Method;
  readonly args: readonly number[];
  /** Seconds on the trace's clock; NaN if the call has no time. */
  readonly at: number;
}

/** The calls that the recording makes, with the ids of `vocabulary`. */
const owners = new Map<number, string>();
const { vocabulary } = newLedger();
const calls = decode();

function newLedger(): Ledger {
  const vmOf = (tid: number) => {
    const label = owners.get(tid) ?? '';
    return label === '' ? undefined : { label };
  };
  return new Ledger({ ownerOf: (tid) => ({ vm: vmOf(tid), vcpu: '0' }) }, { isSampled: true });
}

function decode(): Call[] {
  const made: Call[] = [];
  const sink = new Proxy({} as TraceSink, {
    get:
      (_, method: Method) =>
      (...args: number[]) => {
        if (method === 'thread') owners.set(args[0] as number, VMS.get(args[1] as number) ?? '');
        else made.push({ method, args, at: (args[0] as number) / 1e9 });
      },
  });
  const decoder = new FtraceTextDecoder(vocabulary, sink);
  decoder.push(readFixture('demo/full/trace_pipe.txt'));
  decoder.end();
  return made.filter(({ at }) => at > 0);
}

/** Counts of layer kvm by VM and reason. */
function byReason(exits: Iterable<ExpectedExit>, layer = 'kvm'): Map<string, number> {
  const sums = new Map<string, number>();
  for (const exit of exits)
    if (exit.layer === layer && exit.vm !== '') {
      const key = `${exit.vm} ${exit.reason}`;
      sums.set(key, (sums.get(key) ?? 0) + exit.count);
    }
  return sums;
}

/** Always on, as the agent has it. */
const EXACT: ReadonlySet<Method> = new Set(['userspaceExit', 'threadStart', 'threadExit']);

/** Replays the recording as the agent would see it with windows of this length in each period. */
function sample(periods: number, part: number, random: Random, withReasons = false): Ledger {
  const ledger = newLedger();
  // The ids in the calls are those of the vocabulary that decoded them, which began as this one does.
  for (const table of ['reasons', 'tracepoints', 'qemuEvents'] as const)
    for (const text of vocabulary[table].texts()) ledger.vocabulary[table].id(text);
  const counts: KernelCounts = ledger.kernelSource('tracefs');
  const [startS, endS] = [(calls[0] as Call).at - 0.001, (calls.at(-1) as Call).at + 0.001];
  const periodS = (endS - startS) / periods;
  const kvm = new Map([...VMS.values()].map((label) => [label, new Map([['exits', 0]])]));
  if (withReasons) for (const own of kvm.values()) for (const name of Object.keys(OF_REASONS)) own.set(name, 0);
  const statisticOf = new Map(
    Object.entries(OF_REASONS).map(([name, reason]) => [vocabulary.reasons.id(reason), name]),
  );
  const readStatistics = () => {
    for (const [label, own] of kvm) {
      const values = Array.from(own, ([name, count]) => [{ ...TOTAL, name }, count] as const);
      ledger.statistics.add(label, label, { door: 'debugfs', parts: [{ key: '', vcpu: '', values }] });
    }
  };
  let next = 0;
  const replayTo = (untilS: number, isOn: boolean) => {
    for (; next < calls.length && (calls[next] as Call).at < untilS; next++) {
      const { method, args } = calls[next] as Call;
      if (method === 'vmExit') {
        const label = owners.get(args[2] as number) ?? '';
        const own = kvm.get(label);
        for (const name of ['exits', statisticOf.get(args[4] as number) ?? ''])
          if (own?.has(name)) own.set(name, (own.get(name) ?? 0) + 1);
      }
      if (isOn || EXACT.has(method)) (counts[method] as (...args: readonly number[]) => void)(...args);
    }
    readStatistics();
  };
  readStatistics();
  ledger.sampling.begin(startS * 1000);
  for (let period = 0; period < periods; period++) {
    const openS = startS + period * periodS + random() * periodS * (1 - part);
    const closeS = openS + periodS * part;
    replayTo(openS, false);
    ledger.sampling.openWindow(openS * 1000);
    replayTo(closeS, true);
    ledger.sampling.closeWindow(closeS * 1000);
    const periodEndS = startS + (period + 1) * periodS;
    replayTo(periodEndS, false);
    ledger.sampling.endPeriod(periodEndS * 1000, () => false);
  }
  return ledger;
}

for (const [periods, part] of [
  [10, 0.1],
  [30, 0.1],
  [20, 1 / 30],
] as const)
  for (const withReasons of [false, true])
    test(`${periods} windows of ${(100 * part).toFixed(0)} %, ${withReasons ? 'some reasons counted by KVM' : 'all estimated'}: intervals hold, and totals are exact`, (t) => {
      const truth = byReason(TRUTH);
      let [inside, all] = [0, 0];
      for (let seed = 0; seed < 12; seed++) {
        const ledger = sample(periods, part, randomFrom(1000 * periods + seed), withReasons);
        const snapshot = takeSnapshot(ledger.totals());
        const shown = byReason(snapshot.exits);
        for (const vm of VMS.values()) {
          const sumOf = (counts: Map<string, number>) =>
            [...counts].reduce((sum, [key, count]) => sum + (key.startsWith(`${vm} `) ? count : 0), 0);
          assert.equal(sumOf(shown), sumOf(truth), `${vm}: exits in all`);
        }
        assert.deepEqual(byReason(snapshot.exits, 'qemu'), byReason(TRUTH, 'qemu'));
        const errors = new Map(snapshot.samplingErrors.map((row) => [`${row.vm} ${row.reason}`, row]));
        for (const [key, count] of truth) {
          const { low, high } = errors.get(key) ?? { low: 0, high: 0 };
          // A reason that no window has seen has no row.
          if (!errors.has(key)) continue;
          all++;
          if (low <= count && count <= high) inside++;
        }
      }
      t.diagnostic(`${inside} of ${all} in their intervals`);
      assert.ok(inside >= 0.95 * all, `${inside} of ${all}`);
    });

test('causes add up to the exits to userspace', () => {
  const sampled = takeSnapshot(sample(30, 0.1, randomFrom(1)).totals());
  for (const [key, count] of byReason(TRUTH, 'qemu')) {
    const causes = sampled.causes.filter(({ vm, userspaceReason }) => `${vm} ${userspaceReason}` === key);
    const sum = causes.reduce((total, row) => total + row.count, 0);
    // Each row is rounded down. A reason that no window saw has no cause.
    if (causes.length > 0) assert.ok(sum <= count && sum > count - causes.length, `${key}: ${sum} of ${count}`);
    assert.equal(
      causes.filter(({ reason }) => reason === 'none').length,
      0,
      `${key}: each exit of a guest has a cause`,
    );
  }
});

// The recording is of two guests that boot, and one run has a few hundred events of the rarer kinds in its windows.
test('durations and addresses are, on average, those of the whole recording', (t) => {
  const whole = takeSnapshot(sample(1, 1, () => 0).totals());
  const runs = Array.from({ length: 12 }, (_, seed) => takeSnapshot(sample(30, 0.1, randomFrom(seed)).totals()));
  const average = (figures: readonly number[]) => figures.reduce((sum, figure) => sum + figure, 0) / runs.length;
  const compare = (what: string, estimates: readonly number[], truth: number, tolerance: number) => {
    const ratio = average(estimates) / truth;
    t.diagnostic(`${what}: ${ratio.toFixed(3)}`);
    assert.ok(Math.abs(ratio - 1) < tolerance, `${what}: ${ratio} times the true one`);
  };
  for (const row of whole.durations) {
    if (row.count < 5000) continue;
    const key = `${row.vm} ${row.layer} ${row.reason}`;
    const own = runs.flatMap(({ durations }) =>
      durations.filter((each) => `${each.vm} ${each.layer} ${each.reason}` === key),
    );
    compare(
      `${key}: durations`,
      own.map(({ count }) => count),
      row.count,
      0.15,
    );
    compare(
      `${key}: seconds`,
      own.map(({ sumSeconds }) => sumSeconds),
      row.sumSeconds,
      0.25,
    );
  }
  for (const row of whole.io) {
    if (row.count < 5000 || row.address === 'other') continue;
    const keyOf = ({ vm, layer, direction, address }: typeof row) => `${vm} ${layer} ${direction} ${address}`;
    const own = runs.flatMap(({ io }) => io.filter((each) => keyOf(each) === keyOf(row)));
    compare(
      `${keyOf(row)}: accesses`,
      own.map(({ count }) => count),
      row.count,
      0.15,
    );
  }
});
