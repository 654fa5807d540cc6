/** Decodes whole perf.data files, against the counts and times that perf itself printed: test/fixtures/perf-data. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { summarize } from '../../../src/count/counters/duration-histogram.js';
import { KernelCounts } from '../../../src/count/kernel-counts.js';
import { ALL_COLLECTORS } from '../../../src/count/ledger.js';
import { KnownReasons } from '../../../src/count/vcpu/known-reasons.js';
import type { Vocabulary } from '../../../src/trace/sink.js';
import { NoOpSink } from '../../../src/trace/sink.js';
import { fixture, readFixture, readJson } from '../../support/fixtures.js';
import { CountingSink, plain } from '../../support/trace/counting-sink.js';
import { replayPerfData } from '../../support/trace/replay-perf-data.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

type Counts = Record<string, number>;

interface Expectation {
  readonly broken?: boolean;
  /** Key: `kvm:kvm_exit`. */
  readonly events: Counts;
  /** Key: `159 vcpu 0 io`. */
  readonly kvm_exit: Counts;
  /** Key: `159 KVM_EXIT_IO`. */
  readonly kvm_userspace_exit: Counts;
  /** Key: `159 write 0x80`. */
  readonly kvm_pio: Counts;
  /** Key: `159 unsatisfied-read 0x10000000`. */
  readonly kvm_mmio?: Counts;
  readonly pid_and_comm_by_tid: Record<string, [pid: number, comm: string]>;
  readonly lost_samples?: number;
  readonly perf_kvm_stat_report?: Record<string, KvmStat>;
}

/** A row of `perf kvm stat report`. */
interface KvmStat {
  readonly samples: number;
  readonly min_us: number;
  readonly max_us: number;
  readonly avg_us: number;
}

const ALL = readJson<Record<string, Expectation>>('perf-data/expected.json');
const GOOD = Object.entries(ALL).filter(([name, { broken }]) => broken !== true && name.endsWith('.data'));
const WITH_EVENTS = GOOD.filter(([, { pid_and_comm_by_tid: threads }]) => Object.keys(threads).length > 0);
const READABLE: [string, Expectation][] = ['broken-pipe-cut-6.1.data', 'broken-killed-6.1.data'].map((name) => [
  name,
  ALL[name] as Expectation,
]);

function bytesOf(name: string): Buffer {
  return readFixture(`perf-data/${name}`);
}

/** Fails if the events of a thread are not in the order of their times. */
class OrderedSink extends CountingSink {
  readonly #latestNs = new Map<number, number>();

  override tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    super.tracepoint(timeNs, cpu, tid, name);
    assert.ok(timeNs >= (this.#latestNs.get(tid) ?? 0), `the time of thread ${tid} steps back`);
    this.#latestNs.set(tid, timeNs);
  }
}

function count(name: string, chunkSize?: number): OrderedSink {
  const vocabulary = newVocabulary();
  const sink = new OrderedSink(vocabulary);
  replayPerfData(bytesOf(name), {
    vocabulary,
    sink,
    tracefs: fixture('perf-data/tracefs'),
    ...(chunkSize && { chunkSize }),
  });
  return sink;
}

/** Sums over threads; `changed` gives the key without the thread. */
function sumsBy(counts: Counts, changed: (key: string) => string): Counts {
  const sums: Counts = {};
  for (const [key, count] of Object.entries(counts)) sums[changed(key)] = (sums[changed(key)] ?? 0) + count;
  return sums;
}

/** `out 0x80` from `out 0x80 1`, `159 0 io` from `159 vcpu 0 io`, and so on. */
const withoutSize = (key: string) => key.replace(/ \d+$/, '');
const withoutVcpu = (key: string) => key.replace(' vcpu', '');
const withoutThread = (key: string) => key.replace(/^\d+ /, '').replace('write', 'out').replace('read', 'in');
const withoutThreadOnly = (key: string) => key.replace(/^\d+ /, '');

function checkCounts(sink: CountingSink, want: Expectation): void {
  const kvm = Object.entries(want.events).filter(([event]) => event.startsWith('kvm:'));
  assert.deepEqual(plain(sink.tracepoints), Object.fromEntries(kvm.map(([event, n]) => [event.slice(4), n])));
  assert.deepEqual(plain(sink.vmExits), sumsBy(want.kvm_exit, withoutVcpu));
  assert.deepEqual(plain(sink.userspaceExits), want.kvm_userspace_exit);
  assert.deepEqual(sumsBy(plain(sink.portIos), withoutSize), sumsBy(want.kvm_pio, withoutThread));
  assert.deepEqual(plain(sink.mmios), sumsBy(want.kvm_mmio ?? {}, withoutThreadOnly));
  const lost = [...sink.lostEvents.values()].reduce((a, b) => a + b, 0);
  assert.deepEqual({ lost, gaps: sink.unknownLosses }, { lost: want.lost_samples ?? 0, gaps: 0 });
  for (const [tid, [tgid, comm]] of Object.entries(want.pid_and_comm_by_tid)) {
    assert.deepEqual(sink.threads.get(Number(tid)), { tgid, comm });
    assert.deepEqual(sink.threads.get(tgid), { tgid, comm: 'qemu-system-x86' });
  }
}

describe('a perf.data is counted as perf counts it', () => {
  for (const [name, want] of WITH_EVENTS)
    it(name, () => {
      const sink = count(name);
      checkCounts(sink, want);
      assert.deepEqual(plain(sink.malformedKinds), {});
    });
});

describe('what is left of a perf.data is counted', () => {
  for (const [name, want] of READABLE)
    it(name, () => {
      const sink = count(name);
      checkCounts(sink, want);
      assert.deepEqual(plain(sink.malformedKinds), { truncated: 1 });
    });
});

describe('chunks of any size give the same counts', () => {
  for (const [name, want] of [...WITH_EVENTS, ...READABLE])
    for (const size of [1009, 65_536])
      it(`${name} in chunks of ${size} bytes`, () => checkCounts(count(name, size), want));
  it('five-6.1.data byte by byte', () => checkCounts(count('five-6.1.data', 1), ALL['five-6.1.data'] as Expectation));
});

/** Times from each exit to the thread's next entry, which `perf kvm stat report` prints. */
class RoundTrips extends NoOpSink {
  readonly #vocabulary: Vocabulary;
  readonly #open = new Map<number, { reason: string; timeNs: number }>();
  readonly timesNs = new Map<string, number[]>();

  constructor(vocabulary: Vocabulary) {
    super();
    this.#vocabulary = vocabulary;
  }

  override vmExit(timeNs: number, _cpu: number, tid: number, _vcpu: number, reason: number): void {
    this.#open.set(tid, { reason: this.#vocabulary.reasons.text(reason), timeNs });
  }

  override vmEntry(timeNs: number, _cpu: number, tid: number): void {
    const exit = this.#open.get(tid);
    this.#open.delete(tid);
    if (exit === undefined) return;
    const times = this.timesNs.get(exit.reason) ?? [];
    this.timesNs.set(exit.reason, [...times, timeNs - exit.timeNs]);
  }
}

/** perf prints microseconds with two decimals. */
function roundedUs(ns: number): number {
  return Number((ns / 1000).toFixed(2));
}

function assertNear(got: KvmStat, want: KvmStat, reason: string): void {
  assert.equal(got.samples, want.samples, reason);
  for (const key of ['min_us', 'max_us', 'avg_us'] as const)
    assert.ok(Math.abs(got[key] - want[key]) < 0.0101, `${reason} ${key}: ${got[key]}, perf ${want[key]}`);
}

describe('durations equal those of perf kvm stat report', () => {
  for (const [name, { perf_kvm_stat_report: want }] of GOOD) {
    if (want === undefined) continue;
    it(name, () => {
      const vocabulary = newVocabulary();
      const sink = new RoundTrips(vocabulary);
      replayPerfData(bytesOf(name), { vocabulary, sink });
      assert.deepEqual([...sink.timesNs.keys()].sort(), Object.keys(want).sort());
      for (const [reason, times] of sink.timesNs) {
        const avgNs = times.reduce((a, b) => a + b) / times.length;
        const [min_us, max_us, avg_us] = [Math.min(...times), Math.max(...times), avgNs].map(roundedUs);
        assertNear(
          { samples: times.length, min_us: min_us ?? 0, max_us: max_us ?? 0, avg_us: avg_us ?? 0 },
          want[reason] as KvmStat,
          reason,
        );
      }
    });
  }

  it('also in the counters of the agent, if no exit to QEMU divides them', () => {
    const vocabulary = newVocabulary();
    const counts = new KernelCounts({ collectors: ALL_COLLECTORS, reasons: new KnownReasons(vocabulary.reasons) });
    replayPerfData(bytesOf('kvmstat-6.1.data'), { vocabulary, sink: counts });
    const want = ALL['kvmstat-6.1.data']?.perf_kvm_stat_report ?? {};
    const [vcpu] = [...counts.threads.vcpus()];
    const measured = (vcpu?.exitTimer.durations.kvm ?? []).flatMap((histogram, reason) =>
      histogram === undefined ? [] : [[vocabulary.reasons.text(reason), summarize(histogram)] as const],
    );
    assert.deepEqual(measured.map(([reason]) => reason).sort(), Object.keys(want).sort());
    for (const [reason, { count, minSeconds, maxSeconds, sumSeconds }] of measured) {
      const [min_us, max_us, avg_us] = [minSeconds, maxSeconds, sumSeconds / count].map((s) => roundedUs(s * 1e9));
      assertNear(
        { samples: count, min_us: min_us ?? 0, max_us: max_us ?? 0, avg_us: avg_us ?? 0 },
        want[reason] as KvmStat,
        reason,
      );
    }
  });
});
