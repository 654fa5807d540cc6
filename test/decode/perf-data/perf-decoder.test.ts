/** Order, names, losses and damage in perf.data files that are built byte by byte. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PerfDecoder } from '../../../src/decode/perf-data/perf-decoder.js';
import { recordsOf } from '../../../src/decode/perf-data/perf-file.js';
import { CallSink } from '../../support/trace/call-sink.js';
import { formatText, headerPageText, payload } from '../../support/trace/page-builder.js';
import {
  PerfBuilder,
  type PerfEvent,
  SAMPLE,
  tracingData,
  USUAL,
  u64s,
  ZstdPieces,
} from '../../support/trace/perf-builder.js';
import { perfFileIn, replayPerfData } from '../../support/trace/replay-perf-data.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

const ENTRY = 115;
const SWITCH = 116;
const FORMATS = tracingData(headerPageText(), {
  kvm: [formatText('kvm_entry', ENTRY, [['unsigned int vcpu_id', 8, 4]])],
  sched: [formatText('sched_switch', SWITCH, [['int prev_prio', 8, 4]])],
});
const ENTRIES: PerfEvent = { config: ENTRY, ids: [7n, 8n] };
const PID = 100;

/** kvm_entry of a thread. The number of the vCPU tells one event from another. */
function entry(tid: number, vcpu = 0): Uint8Array {
  return payload(ENTRY, tid, [[8, 4, vcpu]]);
}

/** Writes down the beginnings of gaps among the other calls. */
class Calls extends CallSink {
  override gapAhead(cpu: number): void {
    this.calls.push(`gapAhead ${cpu}`);
  }

  /** The calls that begin with one of these words. */
  only(...words: readonly string[]): string[] {
    return this.calls.filter((call) => words.includes(call.split(' ')[0] ?? ''));
  }
}

function replay(bytes: Uint8Array): { sink: Calls; warnings: readonly string[] } {
  const vocabulary = newVocabulary();
  const sink = new Calls(vocabulary);
  const warnings = replayPerfData(bytes, { vocabulary, sink });
  return { sink, warnings };
}

/** A sample of kvm_entry at a time on a CPU. */
function add(perf: PerfBuilder, time: bigint, cpu: number, tid = 101, vcpu = 0): PerfBuilder {
  return perf.sample({ id: 7n, pid: PID, tid, time, cpu }, entry(tid, vcpu));
}

describe('order', () => {
  it('a round is in order, and so is the next one, which holds events that are older than the latest of it', () => {
    const perf = new PerfBuilder(ENTRIES);
    add(add(perf, 10n, 0), 30n, 0);
    add(add(perf, 20n, 1), 25n, 1).finishedRound();
    add(perf, 40n, 0);
    add(perf, 28n, 1).finishedRound();
    add(perf, 50n, 0).finishedRound();
    const { sink } = replay(perf.file(FORMATS));
    assert.deepEqual(
      sink.only('vmEntry'),
      ['10 0', '20 1', '25 1', '28 1', '30 0', '40 0', '50 0'].map((where) => `vmEntry ${where} 101 0`),
    );
  });

  it('events in the reverse order (perf record --overwrite) are sorted', () => {
    const perf = new PerfBuilder(ENTRIES);
    for (let time = 300n; time > 0n; time -= 1n) add(perf, time, 0);
    const { sink } = replay(perf.file(FORMATS));
    const times = sink.only('vmEntry').map((call) => Number(call.split(' ')[1]));
    assert.deepEqual(
      times,
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
  });

  it('is given up for what does not fit into memory, and the user is warned', () => {
    const perf = new PerfBuilder(ENTRIES);
    const size = 10_000;
    for (let n = size; n > 0; n--) add(perf, BigInt(n), 0);
    const bytes = perf.file(FORMATS);
    const vocabulary = newVocabulary();
    const sink = new Calls(vocabulary);
    const file = perfFileIn(bytes);
    assert.ok(file !== undefined);
    // 10,000 samples take more than three blocks.
    const decoder = new PerfDecoder({ ...file, vocabulary, sink }, 1);
    const stream = decoder.openStream();
    stream.push(recordsOf(file)(bytes));
    decoder.end();
    assert.equal(sink.only('vmEntry').length, size);
    assert.equal(new Set(sink.only('vmEntry')).size, size);
    assert.ok(decoder.isOutOfOrder);
  });

  it('many CPUs that take turns', () => {
    const perf = new PerfBuilder(ENTRIES);
    const want: string[] = [];
    for (let cpu = 0; cpu < 200; cpu++)
      for (let n = 0; n < 20; n++) {
        const time = BigInt(((n * 7919 + cpu * 31) % 5000) | 0) + BigInt(n) * 5000n;
        add(perf, time, cpu, 101, cpu);
        want.push(`vmEntry ${time} ${cpu} 101 ${cpu}`);
      }
    const { sink } = replay(perf.file(FORMATS));
    assert.equal(sink.only('vmEntry').length, want.length);
    assert.deepEqual([...sink.only('vmEntry')].sort(), [...want].sort());
    const times = sink.only('vmEntry').map((call) => Number(call.split(' ')[1]));
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
  });
});

const LAYOUTS: [what: string, event: Partial<PerfEvent>, variable: bigint[]][] = [
  ['the usual fields', {}, []],
  [
    'every field of fixed length',
    { sampleType: Object.values(SAMPLE).reduce((a, b) => a | b) & ~(1n << 4n) & ~(1n << 5n) },
    [],
  ],
  ['ID in place of IDENTIFIER', { sampleType: (USUAL & ~SAMPLE.IDENTIFIER) | SAMPLE.ID }, []],
  ['no id', { sampleType: USUAL & ~SAMPLE.IDENTIFIER }, []],
  ['a call chain', { sampleType: USUAL | SAMPLE.CALLCHAIN }, [3n, 0xffffffffffffff80n, 1n, 2n]],
  ['an empty call chain', { sampleType: USUAL | SAMPLE.CALLCHAIN }, [0n]],
  ['a counter', { sampleType: USUAL | SAMPLE.READ }, [5n]],
  ['a counter with times, id and losses', { sampleType: USUAL | SAMPLE.READ, readFormat: 0x17n }, [5n, 1n, 1n, 7n, 0n]],
  ['a group of counters', { sampleType: USUAL | SAMPLE.READ, readFormat: 0x08n }, [2n, 5n, 6n]],
  [
    'a group of counters with everything, and a call chain',
    { sampleType: USUAL | SAMPLE.READ | SAMPLE.CALLCHAIN, readFormat: 0x1fn },
    [2n, 1n, 1n, 5n, 7n, 0n, 6n, 8n, 0n, 1n, 9n],
  ],
];

describe('samples', () => {
  for (const [what, event, variable] of LAYOUTS)
    it(`with ${what}`, () => {
      const perf = new PerfBuilder({ ...ENTRIES, ...event });
      perf.sample({ id: 7n, pid: PID, tid: 101, time: 1234567890123n, cpu: 5, variable }, entry(101, 3));
      for (const bytes of [perf.file(FORMATS), perf.pipe(FORMATS)]) {
        const { sink } = replay(bytes);
        assert.deepEqual(sink.only('vmEntry', 'malformed'), ['vmEntry 1234567890123 5 101 3']);
      }
    });

  it('without CPU, thread or time', () => {
    const sampleType = SAMPLE.IDENTIFIER | SAMPLE.RAW;
    const perf = new PerfBuilder({ ...ENTRIES, sampleType });
    perf.sample({ id: 7n }, entry(101, 3)).sample({ id: 7n }, entry(102, 4));
    const { sink } = replay(perf.file(FORMATS));
    assert.deepEqual(sink.only('vmEntry', 'thread'), ['vmEntry NaN -1 101 3', 'vmEntry NaN -1 102 4']);
  });

  it('of several events with different fields', () => {
    const clock: PerfEvent = { type: 1, config: 0, ids: [1n], sampleType: USUAL & ~SAMPLE.RAW & ~SAMPLE.PERIOD };
    const perf = new PerfBuilder(
      clock,
      { ...ENTRIES, sampleType: USUAL | SAMPLE.CALLCHAIN },
      { config: SWITCH, ids: [3n] },
    );
    perf.sample({ id: 1n, time: 1n }, entry(101));
    perf.sample({ id: 8n, pid: PID, tid: 101, time: 2n, variable: [1n, 1n] }, entry(101, 1));
    perf.sample({ id: 3n, pid: 50, tid: 50, time: 3n }, payload(SWITCH, 50, [[8, 4, 120]]));
    const { sink } = replay(perf.file(FORMATS));
    assert.deepEqual(sink.only('tracepoint'), ['tracepoint 2 0 101 kvm_entry', 'tracepoint 3 0 50 sched_switch']);
    assert.deepEqual(sink.only('thread', 'malformed'), ['thread 100 100 ', 'thread 101 100 ']);
  });

  it('of the same tracepoint twice are counted once', () => {
    const perf = new PerfBuilder(ENTRIES, { config: ENTRY, ids: [9n] });
    for (const time of [1n, 5n, 9n])
      for (const id of [7n, 9n])
        perf.sample({ id, pid: PID, tid: 101, time: time + (id === 9n ? 1n : 0n) }, entry(101));
    const { sink } = replay(perf.file(FORMATS));
    assert.equal(sink.only('vmEntry').length, 3);
  });

  it('of the same tracepoint in two cgroups are all counted', () => {
    const perf = new PerfBuilder(ENTRIES, { config: ENTRY, ids: [9n] });
    for (const time of [1n, 5n, 9n]) {
      perf.sample({ id: 7n, pid: PID, tid: 101, time }, entry(101));
      perf.sample({ id: 9n, pid: 200, tid: 201, time: time + 1n }, entry(201));
    }
    const { sink } = replay(perf.file(FORMATS));
    assert.equal(sink.only('vmEntry').length, 6);
  });
});

describe('names of threads', () => {
  it('are in the order of time, not of the file', () => {
    const perf = new PerfBuilder(ENTRIES);
    perf.comm({ id: 0n, pid: PID, tid: PID, time: 0n }, 'qemu-system-x86');
    // The thread starts on CPU 1 and renames itself on CPU 0, whose buffer perf reads first.
    perf.comm({ id: 7n, pid: PID, tid: 101, time: 20n, cpu: 0 }, 'CPU 0/KVM');
    add(perf, 30n, 0);
    perf.fork({ id: 7n, pid: PID, tid: 101, time: 10n, cpu: 1 }, PID, PID).finishedRound();
    const { sink } = replay(perf.file(FORMATS));
    assert.deepEqual(sink.only('thread').slice(-2), ['thread 101 100 qemu-system-x86', 'thread 101 100 CPU 0/KVM']);
  });

  it('are those of the parent at first', () => {
    const perf = new PerfBuilder(ENTRIES);
    perf.comm({ id: 7n, pid: PID, tid: PID, time: 1n }, 'qemu-system-x86');
    perf.fork({ id: 7n, pid: PID, tid: 101, time: 2n }, PID, PID);
    const { sink } = replay(add(perf, 3n, 0).file(FORMATS));
    assert.deepEqual(sink.only('thread').at(-1), 'thread 101 100 qemu-system-x86');
  });

  it('come without a time from a perf of long ago', () => {
    const perf = new PerfBuilder({ ...ENTRIES, sampleIdAll: false });
    add(perf, 3n, 0).comm({ pid: PID, tid: 101 }, 'CPU 0/KVM');
    const { sink } = replay(perf.file(FORMATS));
    assert.deepEqual(sink.only('thread').at(-1), 'thread 101 100 CPU 0/KVM');
  });

  it('stay as they are when another process gets the id of a thread that ended', () => {
    const perf = new PerfBuilder(ENTRIES);
    perf.comm({ id: 7n, pid: PID, tid: 101, time: 1n }, 'CPU 0/KVM');
    add(perf, 2n, 0).finishedRound();
    perf.exit({ id: 7n, pid: PID, tid: 101, time: 3n });
    perf.comm({ id: 7n, pid: 101, tid: 101, time: 4n }, 'bash');
    const { sink } = replay(perf.file(FORMATS));
    assert.deepEqual(sink.only('thread').at(-1), 'thread 101 100 CPU 0/KVM');
  });

  it('of threads without events of KVM are not reported', () => {
    const perf = new PerfBuilder(ENTRIES);
    for (let tid = 5000; tid < 5100; tid++) perf.comm({ id: 0n, pid: tid, tid }, `other-${tid}`);
    const { sink } = replay(add(perf, 2n, 0).file(FORMATS));
    assert.deepEqual(sink.only('thread'), ['thread 100 100 ', 'thread 101 100 ']);
  });

  it('belong to the thread ids of the host if perf ran in a container', () => {
    const perf = new PerfBuilder(ENTRIES);
    perf.comm({ id: 7n, pid: 1, tid: 2, time: 1n }, 'CPU 0/KVM');
    perf.sample({ id: 7n, pid: 1, tid: 2, time: 2n }, entry(4711));
    const { sink } = replay(perf.file(FORMATS));
    assert.deepEqual(sink.only('thread').at(-1), 'thread 4711 1 CPU 0/KVM');
  });
});

describe('lost events', () => {
  it('are missing between the latest event of the CPU and the next one', () => {
    const perf = new PerfBuilder(ENTRIES);
    add(perf, 10n, 0);
    // The kernel takes the time of a loss after that of the event that follows it.
    perf.lost({ id: 7n, time: 42n, cpu: 0 }, 60n);
    add(perf, 40n, 0);
    add(add(add(perf, 5n, 1, 102), 20n, 1, 102), 41n, 1, 102).finishedRound();
    const { sink } = replay(perf.file(FORMATS));
    assert.deepEqual(sink.only('vmEntry', 'gapAhead', 'lost'), [
      'vmEntry 5 1 102 0',
      'vmEntry 10 0 101 0',
      'gapAhead 0',
      'vmEntry 20 1 102 0',
      'lost 0 60',
      'vmEntry 40 0 101 0',
      'vmEntry 41 1 102 0',
    ]);
  });

  const LOSSES: [what: string, lost: bigint[], samples: bigint[], sum: number][] = [
    ['both kinds of records report the same losses', [60n, 40n], [55n, 45n], 100],
    ['the kernel reports no losses by event', [60n, 40n], [], 100],
    ['losses by event are more', [60n], [55n, 45n], 100],
    ['losses by event are fewer', [60n, 40n], [30n], 100],
    ['there are only losses by event', [], [30n, 1n], 31],
  ];
  for (const [what, lost, samples, sum] of LOSSES)
    it(`are counted once if ${what}`, () => {
      const perf = new PerfBuilder(ENTRIES);
      add(perf, 10n, 0);
      for (const count of lost) add(perf.lost({ id: 7n, time: 20n, cpu: 0 }, count), 20n, 0);
      for (const count of samples) perf.lostSamples({ id: 7n }, count);
      perf.lostSamples({ id: 7n }, 1_000_000n, 1 << 15); // dropped by a filter of the user's
      const { sink } = replay(perf.file(FORMATS));
      const counts = sink.only('lost').map((call) => Number(call.split(' ')[2]));
      assert.equal(
        counts.reduce((a, b) => a + b, 0),
        sum,
      );
    });
});

describe('records', () => {
  it('that are compressed may begin in one piece and end in the next', () => {
    const inner = add(add(new PerfBuilder(ENTRIES), 10n, 0), 20n, 0).records();
    for (const type of [81, 83])
      for (const cut of [1, 7, 8, 50, inner.length - 1]) {
        const zstd = new ZstdPieces();
        const perf = new PerfBuilder(ENTRIES);
        for (const piece of [inner.subarray(0, cut), inner.subarray(cut)]) {
          const packed = zstd.add(piece);
          // PERF_RECORD_COMPRESSED2 begins with the number of bytes, and ends with padding.
          const padding = Buffer.alloc((8 - (packed.length % 8)) % 8);
          perf.record(type, ...(type === 81 ? [packed] : [u64s(BigInt(packed.length)), packed, padding]));
        }
        const { sink } = replay(perf.finishedRound().file(FORMATS));
        assert.deepEqual(sink.only('vmEntry', 'malformed'), ['vmEntry 10 0 101 0', 'vmEntry 20 0 101 0']);
      }
  });

  it('that are compressed and damaged end what can be read', () => {
    const inner = add(add(new PerfBuilder(ENTRIES), 10n, 0), 20n, 0).records();
    const zstd = new ZstdPieces();
    const perf = new PerfBuilder(ENTRIES).record(81, zstd.add(inner)).record(81, Buffer.from('not zstd'));
    const { sink, warnings } = replay(perf.record(81, zstd.add(inner)).file(FORMATS));
    assert.equal(sink.only('vmEntry').length, 2);
    assert.deepEqual(sink.only('malformed'), ['malformed truncated']);
    assert.deepEqual(warnings, ['perf.data: has damaged compressed records; what follows them is missing']);
  });

  it('that are compressed inside of compressed ones are not read', () => {
    const [inner, outer] = [new ZstdPieces(), new ZstdPieces()];
    const packed = new PerfBuilder(ENTRIES).record(81, inner.add(add(new PerfBuilder(ENTRIES), 1n, 0).records()));
    const perf = add(new PerfBuilder(ENTRIES), 1n, 0).record(81, outer.add(packed.records()));
    const { sink } = replay(perf.file(FORMATS));
    assert.deepEqual(sink.only('vmEntry', 'malformed'), ['malformed record', 'vmEntry 1 0 101 0']);
  });

  it('of other types are skipped, with the data behind them', () => {
    const perf = new PerfBuilder(ENTRIES);
    perf.record(10, Buffer.alloc(64)).record(9999).record(71, u64s(400n, 0n)).raw(Buffer.alloc(400, 0xff));
    const { sink } = replay(add(perf, 5n, 0).file(FORMATS));
    assert.deepEqual(sink.only('vmEntry', 'malformed'), ['vmEntry 5 0 101 0']);
  });

  const DAMAGED: [what: string, damage: (perf: PerfBuilder) => unknown, calls: string[]][] = [
    ['with the size 0', (perf) => perf.raw(u64s(9n)), ['malformed record']],
    ['with a size below that of its header', (perf) => perf.raw(u64s(9n | (7n << 48n))), ['malformed record']],
    ['that is cut', (perf) => perf.raw(u64s(9n | (64n << 48n), 0n)), ['malformed truncated']],
    ['whose data are cut', (perf) => perf.record(71, u64s(4000n, 0n)), ['malformed truncated']],
    ['of data that have no size', (perf) => perf.record(71), ['malformed record']],
    ['that is too short for a sample', (perf) => perf.record(9, u64s(7n)), ['malformed record', 'vmEntry 9 0 101 0']],
    ['of an unknown event', (perf) => perf.record(9, u64s(77n)), ['malformed unknown-event', 'vmEntry 9 0 101 0']],
    [
      'whose raw data are longer than the record',
      (perf) => perf.record(9, u64s(7n, 1n, 1n, 1n, 1n, 1n, 1000n)),
      ['malformed record', 'vmEntry 9 0 101 0'],
    ],
    ['of an event without a struct', (perf) => perf.record(64, u64s(1n)), ['malformed record', 'vmEntry 9 0 101 0']],
    [
      'of a loss without a number',
      (perf) => perf.record(2),
      ['vmEntry 9 0 101 0', 'malformed record', 'malformed record'],
    ],
    ['of a name without a thread', (perf) => perf.record(3), ['vmEntry 9 0 101 0', 'malformed record']],
    ['of formats that cannot be that large', (perf) => perf.record(66, u64s(0xffffffffn)), ['malformed record']],
  ];
  for (const [what, damage, calls] of DAMAGED)
    it(`one ${what}`, () => {
      const perf = new PerfBuilder(ENTRIES, { config: SWITCH, ids: [3n] });
      add(perf, 1n, 0).finishedRound().finishedRound();
      damage(perf);
      if (calls.some((call) => call.startsWith('vmEntry'))) add(perf, 9n, 0);
      const { sink } = replay(perf.pipe(FORMATS));
      assert.deepEqual(sink.only('vmEntry', 'malformed').sort(), ['vmEntry 1 0 101 0', ...calls].sort());
    });

  for (const [what, sampleType, variable] of [
    ['call chain', USUAL | SAMPLE.CALLCHAIN, [0xffffffffffffffffn]],
    ['group of counters', USUAL | SAMPLE.READ, [0x7fffffffffffffffn]],
  ] as const)
    it(`one whose ${what} cannot be that long`, () => {
      const perf = new PerfBuilder({ ...ENTRIES, sampleType, readFormat: 8n });
      perf.sample({ id: 7n, tid: 101, time: 1n, variable }, entry(101));
      const { sink } = replay(perf.file(FORMATS));
      assert.deepEqual(sink.calls, ['malformed record']);
    });
});

describe('a file is refused', () => {
  const REFUSED: [what: string, bytes: Buffer, reason: RegExp][] = [
    [
      'without tracepoints',
      new PerfBuilder({ type: 1, config: 0, ids: [1n] }).finishedRound().file(FORMATS),
      /no tracepoints of KVM/,
    ],
    [
      'with other tracepoints',
      new PerfBuilder({ config: SWITCH, ids: [1n] }).finishedRound().file(FORMATS),
      /no tracepoints of KVM/,
    ],
    ['without formats', add(new PerfBuilder(ENTRIES), 1n, 0).file(), /lacks the formats .*--path\.tracefs=DIR$/],
    ['with damaged formats', add(new PerfBuilder(ENTRIES), 1n, 0).file(FORMATS.subarray(0, 40)), /lacks the formats/],
    ['that ends in its header', new PerfBuilder(ENTRIES).file().subarray(0, 90), /damaged in its header$/],
    ['that ends before its events', new PerfBuilder(ENTRIES).file().subarray(0, 110), /ends before its first event$/],
    ['that is a pipe without events', new PerfBuilder().pipe(), /ends before its first event$/],
  ];
  for (const [what, bytes, reason] of REFUSED) it(what, () => assert.throws(() => replay(bytes), reason));
});

describe('a warning says', () => {
  const WARNINGS: [what: string, event: Partial<PerfEvent>, warnings: RegExp[]][] = [
    [
      'that events were sampled at a frequency',
      { freq: true, period: 100n },
      [/only some of these events.*: kvm_entry; record with -c 1$/],
    ],
    [
      'that each tenth event was sampled',
      { period: 10n, sampleType: USUAL & ~SAMPLE.PERIOD },
      [/only some of these events.*: kvm_entry; record with -c 1$/],
    ],
    ['nothing about a period if the kernel records every event', { period: 10n }, []],
    ['that an event was counted only', { period: 0n }, [/members of a group \(:S\): kvm_entry$/]],
  ];
  for (const [what, event, expected] of WARNINGS)
    it(what, () => {
      const { warnings } = replay(add(new PerfBuilder({ ...ENTRIES, ...event }), 1n, 0).file(FORMATS));
      assert.equal(warnings.length, expected.length, warnings.join());
      for (const [i, pattern] of expected.entries()) assert.match(warnings[i] ?? '', pattern);
    });

  it('that the kernel stopped recording for a while', () => {
    const perf = add(new PerfBuilder(ENTRIES), 1n, 0).record(5, u64s(1n, 7n, 7n));
    const { warnings } = replay(perf.file(FORMATS));
    assert.match(warnings.join(), /^perf\.data: lacks events, because the kernel stopped recording 1 times$/);
  });
});
