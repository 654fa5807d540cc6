import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { looksLikeSimpleTrace, QemuSimpleDecoder } from '../../../src/decode/qemu/simple-decoder.js';
import { parseTraceEvents } from '../../../src/decode/qemu/trace-events.js';
import { readFixture } from '../../support/fixtures.js';
import { CountingSink, plain, total } from '../../support/trace/counting-sink.js';
import { SimpleBuilder } from '../../support/trace/simple-builder.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

interface Decoded {
  readonly sink: CountingSink;
  readonly decoder: QemuSimpleDecoder;
}

interface Options {
  readonly chunk?: number;
  /** The content of trace-events. */
  readonly list?: string;
}

function decode(trace: Uint8Array, { chunk = Math.max(1, trace.length), list }: Options = {}): Decoded {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const decoder = new QemuSimpleDecoder(
    vocabulary,
    sink,
    list === undefined ? {} : { traceEvents: parseTraceEvents(list) },
  );
  for (let at = 0; at < trace.length; at += chunk) decoder.push(trace.subarray(at, at + chunk));
  decoder.end();
  return { sink, decoder };
}

/** All counts, to compare two decodings. */
function all({ sink, decoder }: Decoded): unknown[] {
  const { qemuEvents, qemuRunExits, lostEvents, lostGaps, malformedKinds, firstTimeNs, lastTimeNs } = sink;
  return [
    ...[qemuEvents, qemuRunExits, lostEvents, lostGaps, malformedKinds].map(plain),
    firstTimeNs,
    lastTimeNs,
    decoder.problem,
  ];
}

const REASONS: Readonly<Record<string, string>> = {
  reason2: 'KVM_EXIT_IO',
  reason5: 'KVM_EXIT_HLT',
  reason6: 'KVM_EXIT_MMIO',
  reason17: 'KVM_EXIT_INTERNAL_ERROR',
};

/** Counts of QEMU's own reader. */
interface Oracle {
  readonly file_bytes: number;
  readonly events: Record<string, number>;
  readonly kvm_run_exit_by_cpu_reason: Record<string, number>;
  readonly pids: Record<string, number>;
  readonly dropped_records: readonly number[];
  readonly dropped_sum: number;
  readonly first_ts_ns: number | null;
  readonly last_ts_ns: number | null;
  readonly end_of_last_whole_record: number;
}

function oracle(path: string, key?: string): Oracle {
  const json = JSON.parse(readFixture(path).toString());
  return key === undefined ? json : json[key];
}

function assertAgrees({ sink, decoder }: Decoded, expected: Oracle): void {
  assert.equal(decoder.problem, undefined);
  // QEMU's reader shows dropped records as an event named `dropped`.
  const { dropped = 0, ...events } = expected.events;
  assert.deepEqual(plain(sink.qemuEvents), events);
  const [pid = ''] = Object.keys(expected.pids);
  const runExits = Object.entries(expected.kvm_run_exit_by_cpu_reason).map(([key, count]) => {
    const [, cpu, reason = ''] = /^cpu(\d+),(reason\d+)$/.exec(key) ?? [];
    return [`${pid} ${cpu} ${REASONS[reason]}`, count];
  });
  assert.deepEqual(plain(sink.qemuRunExits), Object.fromEntries(runExits));
  assert.deepEqual(plain(sink.lostEvents), dropped > 0 ? { '-1': expected.dropped_sum } : {});
  assert.deepEqual(plain(sink.lostGaps), dropped > 0 ? { '-1': expected.dropped_records.length } : {});
  // If the first record counts dropped events, QEMU's reader has its time, but the sink does not.
  if (dropped === 0) assert.equal(sink.firstTimeNs, expected.first_ts_ns ?? Number.NaN);
}

const RECORDINGS: readonly (readonly [trace: string, expected: string, key?: string])[] = [
  ['qemu-simple/a1-seabios-2vcpu/trace-a1', 'qemu-simple/a1-seabios-2vcpu/expected.json'],
  ['qemu-simple/a2-exact-2vcpu/trace-a2', 'qemu-simple/a2-exact-2vcpu/expected.json'],
  ['qemu-simple/a5-dropped/trace-a5', 'qemu-simple/a5-dropped/expected.json'],
  ['qemu-simple/a7-many-events/trace-a7', 'qemu-simple/a7-many-events/expected.json'],
  ['qemu-log/b4-many-plain/trace-simple', 'qemu-log/b4-many-plain/expected-trace-simple.json'],
  ['exact/e2-mix/trace-simple', 'exact/e2-mix/expected.json', 'simple_backend'],
  ['exact/e3-hlt-irqchip-off/trace-simple', 'exact/e3-hlt-irqchip-off/expected.json', 'simple_backend'],
  ['exact/e6-internal-error/trace-simple', 'exact/e6-internal-error/expected.json', 'simple_backend'],
  ['virtio/kvm-seabios-ioeventfd/trace-simple', 'virtio/kvm-seabios-ioeventfd/expected.json', 'simple'],
  ['virtio/kvm-seabios-no-ioeventfd/trace-simple', 'virtio/kvm-seabios-no-ioeventfd/expected.json', 'simple'],
  ['virtio/tcg-linux-iothread/trace-simple', 'virtio/tcg-linux-iothread/expected-simple.json'],
];

for (const [trace, path, key] of RECORDINGS) {
  test(`${trace} has exactly the events that QEMU's own reader counts`, () => {
    const bytes = readFixture(trace);
    assert.ok(looksLikeSimpleTrace(bytes));
    for (const chunk of [bytes.length, 65536, 4093, 97]) {
      const decoded = decode(bytes, { chunk });
      assertAgrees(decoded, oracle(path, key));
      assert.deepEqual(plain(decoded.sink.malformedKinds), {});
      assert.equal(decoded.decoder.version, 4);
    }
  });
}

for (const vm of ['vm-a', 'vm-b']) {
  test(`svm/two-vms-6.12/${vm}.simple has the exits of its guest`, () => {
    const { sink } = decode(readFixture(`svm/two-vms-6.12/${vm}.simple`));
    const rows: { vm: string; cpu_index: string; reason: string; count: number }[] = JSON.parse(
      readFixture('svm/two-vms-6.12/expected.json').toString(),
    ).kvm_run_exit;
    const own = rows.filter((row) => row.vm === vm);
    const expected = own.map((row) => [`${row.cpu_index} ${REASONS[`reason${row.reason}`]}`, row.count]);
    assert.deepEqual(plain(sink.qemuRunExitsByCpu), Object.fromEntries(expected));
    assert.deepEqual(plain(sink.malformedKinds), {});
  });
}

/** Cuts of the recording a2, and whether they leave part of a mapping or record. */
const CUTS: readonly (readonly [string, boolean])[] = [
  ['t-at-boundary', false],
  ['t-header-only', false],
  ['t-in-last-arg', true],
  ['t-in-mapping', true],
  ['t-in-record-header', true],
  ['t-in-record-type', true],
];

for (const [name, truncated] of CUTS) {
  test(`a trace cut at ${name} has the events before the cut`, () => {
    const expected = oracle(`qemu-simple/a4-truncated/${name}.expected.json`);
    const bytes = readFixture('qemu-simple/a2-exact-2vcpu/trace-a2').subarray(0, expected.file_bytes);
    for (const chunk of [bytes.length, 1021]) {
      const decoded = decode(bytes, { chunk });
      assertAgrees(decoded, expected);
      assert.deepEqual(plain(decoded.sink.malformedKinds), truncated ? { truncated: 1 } : {});
    }
  });
}

test('a trace cut in its header is reported as too short', () => {
  const { sink, decoder } = decode(readFixture('qemu-simple/a2-exact-2vcpu/trace-a2').subarray(0, 10));
  assert.deepEqual(plain(sink.malformedKinds), { truncated: 1 });
  assert.match(decoder.problem ?? '', /too short/);
});

test('an empty file is not a problem: QEMU has not written yet', () => {
  const { sink, decoder } = decode(new Uint8Array(0));
  assert.deepEqual([plain(sink.malformedKinds), decoder.problem, decoder.version], [{}, undefined, undefined]);
});

const LIST =
  'one(void) ""\ndisable two(int a) "%d"\nkvm_run_exit(int cpu_index, uint32_t reason) ""\nload_file(const char *n) ""\n';

function version4(): SimpleBuilder {
  return new SimpleBuilder(4).mapping(0, 'one').mapping(2, 'kvm_run_exit').mapping(3, 'load_file');
}

test('version 4: events, strings, dropped records, and a mapping after the first records', () => {
  const trace = version4()
    .event(2, 1000, 77, 0, 2)
    .event(3, 1500, 77, 'bios.bin')
    .dropped(1600, 77, 12n)
    .event(2, 2000, 77, 1, 6)
    .mapping(900, 'late_event')
    .event(900, 2500, 77)
    .event(0, 3000, 77);
  const { sink } = decode(trace.build());
  assert.deepEqual(plain(sink.qemuEvents), { kvm_run_exit: 2, load_file: 1, late_event: 1, one: 1 });
  assert.deepEqual(plain(sink.qemuRunExits), { '77 0 KVM_EXIT_IO': 1, '77 1 KVM_EXIT_MMIO': 1 });
  assert.deepEqual(plain(sink.lostEvents), { '-1': 12 });
  assert.deepEqual(plain(sink.malformedKinds), {});
  assert.deepEqual([sink.firstTimeNs, sink.lastTimeNs], [1000, 3000]);
});

test('version 3: the numbers count disabled events too', () => {
  const trace = new SimpleBuilder(3)
    .event(0, 1000, 77)
    .event(2, 2000, 77, 3, 5)
    .event(3, 2500, 77, 'x')
    .dropped(3000, 77, 5n);
  const { sink, decoder } = decode(trace.build(), { list: LIST });
  assert.deepEqual(plain(sink.qemuEvents), { one: 1, kvm_run_exit: 1, load_file: 1 });
  assert.deepEqual(plain(sink.qemuRunExits), { '77 3 KVM_EXIT_HLT': 1 });
  assert.deepEqual(plain(sink.lostEvents), { '-1': 5 });
  assert.deepEqual([decoder.version, decoder.needsTraceEvents, decoder.problem], [3, false, undefined]);
});

test('version 2: the numbers count enabled events only, and the pid is invalid', () => {
  // QEMU does not write the reserved word, so it holds what was in the buffer before.
  const trace = new SimpleBuilder(2).event(0, 1000, 0xdeadbeef).event(1, 2000, 0x61626364, 0, 2).event(2, 2500, 0, 'x');
  const { sink } = decode(trace.build(), { list: LIST });
  assert.deepEqual(plain(sink.qemuEvents), { one: 1, kvm_run_exit: 1, load_file: 1 });
  assert.deepEqual(plain(sink.qemuRunExits), { '0 0 KVM_EXIT_IO': 1 });
  assert.deepEqual(plain(sink.malformedKinds), {});
});

test('versions 2 and 3 without the list of events ask for it', () => {
  for (const version of [2, 3]) {
    const trace = new SimpleBuilder(version).event(0, 1000, 77).event(1, 2000, 77, 0, 2).dropped(3000, 77, 5n);
    const { sink, decoder } = decode(trace.build());
    assert.deepEqual([decoder.needsTraceEvents, decoder.problem], [true, undefined]);
    assert.deepEqual(plain(sink.malformedKinds), { 'unknown-event': 2 });
    assert.deepEqual(plain(sink.lostEvents), { '-1': 5 });
  }
  assert.equal(decode(version4().build()).decoder.needsTraceEvents, false);
});

/** Files that cannot be read, and the reason. */
const REFUSED: readonly (readonly [string, Buffer, RegExp])[] = [
  ['version 0', new SimpleBuilder(0).raw(Buffer.alloc(200)).build(), /version 0/],
  ['version 1', new SimpleBuilder(1).build(), /version 1/],
  ['version 5', new SimpleBuilder(5).build(), /version 5/],
  ['a big-endian file', new SimpleBuilder(4, { bigEndian: true }).raw(Buffer.alloc(200)).build(), /big-endian/],
  ['text', Buffer.from('kvm_run_exit cpu_index 0, reason 2\n'), /not a simple trace/],
  ['ones', Buffer.alloc(100, 0xff), /not a simple trace/],
];

for (const [name, bytes, problem] of REFUSED) {
  test(`${name} is refused with one message`, () => {
    for (const chunk of [bytes.length, 1]) {
      const { sink, decoder } = decode(bytes, { chunk });
      assert.match(decoder.problem ?? '', problem);
      assert.deepEqual(plain(sink.malformedKinds), { 'file-header': 1 });
      assert.equal(total(sink.qemuEvents), 0);
    }
  });
}

test('a simple trace is recognised by its header alone', () => {
  assert.equal(looksLikeSimpleTrace(version4().build()), true);
  assert.equal(looksLikeSimpleTrace(new SimpleBuilder(4, { bigEndian: true }).build()), true);
  assert.equal(looksLikeSimpleTrace(Buffer.alloc(100, 0xff)), false);
  assert.equal(looksLikeSimpleTrace(version4().build().subarray(0, 23)), false);
  assert.equal(looksLikeSimpleTrace(version4().build().subarray(1)), false);
  assert.equal(looksLikeSimpleTrace(Buffer.from('kvm_run_exit cpu_index 0, reason 2\n')), false);
});

test('arguments: a negative cpu_index, a reason without a name, missing arguments', () => {
  const trace = version4()
    .event(2, 1, 7, -1, 2)
    .event(2, 2, 7, 0, 44)
    .event(2, 3, 7, 0)
    .event(2, 4, 7)
    .event(2, 5, 7, 0, 2, 9);
  const { sink } = decode(trace.build());
  assert.deepEqual(plain(sink.qemuEvents), { kvm_run_exit: 5 });
  assert.deepEqual(plain(sink.qemuRunExits), { '7 -1 KVM_EXIT_IO': 1, '7 0 44': 1, '7 0 KVM_EXIT_IO': 1 });
  assert.deepEqual(plain(sink.malformedKinds), { arguments: 2 });
});

test('times and counts are exact up to 2^53', () => {
  const timeNs = 2 ** 53 - 1;
  const { sink } = decode(
    version4()
      .event(0, timeNs, 7)
      .dropped(timeNs, 7, 2n ** 40n + 1n)
      .build(),
  );
  assert.deepEqual([sink.firstTimeNs, plain(sink.lostEvents)], [timeNs, { '-1': 2 ** 40 + 1 }]);
});

test('a count of dropped events that no QEMU can mean is cut and called malformed', () => {
  // QEMU counts dropped events in a gint (trace/simple.c, dropped_events).
  const { sink } = decode(
    version4()
      .dropped(1, 7, 2n ** 64n - 1n)
      .dropped(2, 7, 5n)
      .build(),
  );
  assert.deepEqual([plain(sink.lostEvents), plain(sink.malformedKinds)], [{ '-1': 2 ** 48 + 5 }, { arguments: 1 }]);
});

test('an event without a mapping counts as unknown, and the next one counts', () => {
  const { sink } = decode(version4().event(500, 1000, 77, 'text', 5).event(0, 2000, 77).build());
  assert.deepEqual([plain(sink.qemuEvents), plain(sink.malformedKinds)], [{ one: 1 }, { 'unknown-event': 1 }]);
});

test('mapping thousands of events does not fill the vocabulary', () => {
  const builder = new SimpleBuilder(4);
  for (let id = 0; id < 5000; id++) builder.mapping(id, `event_${id}`);
  const { sink } = decode(builder.event(4999, 1000, 77).event(1, 2000, 77).build());
  assert.deepEqual(plain(sink.qemuEvents), { event_4999: 1, event_1: 1 });
});

test('two traces of one vocabulary number their events differently', () => {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const first = new QemuSimpleDecoder(vocabulary, sink);
  const second = new QemuSimpleDecoder(vocabulary, sink);
  first.push(new SimpleBuilder(4).mapping(0, 'one').mapping(1, 'two').event(0, 1, 7).build());
  second.push(new SimpleBuilder(4).mapping(0, 'two').mapping(1, 'one').event(0, 1, 8).event(1, 2, 8).build());
  first.push(new SimpleBuilder(4).event(1, 2, 7).build().subarray(24));
  assert.deepEqual(plain(sink.qemuEvents), { one: 2, two: 2 });
});

/** Bytes written over the second of five records of version 4: their offset from the record's type, and the bytes. */
const DAMAGES: readonly (readonly [string, number, Buffer])[] = [
  ['an unknown type', 0, Buffer.from([9])],
  ['a type in the upper half', 4, Buffer.from([1])],
  ['an event number that is too large', 12, Buffer.from([1])],
  ['a length that is too small', 24, Buffer.from([23, 0, 0, 0])],
  ['a length that is too large', 24, Buffer.from([0, 0, 2, 0])],
  ['only garbage', 0, Buffer.alloc(48, 0xaa)],
];

for (const [name, offset, bytes] of DAMAGES) {
  test(`a record with ${name} is lost alone`, () => {
    const start = version4().event(2, 1000, 77, 0, 2).length;
    const trace = version4();
    for (let i = 0; i < 5; i++) trace.event(2, 1000 + i, 77, 0, 2);
    const damaged = trace.build();
    bytes.copy(damaged, start + offset);
    for (const chunk of [damaged.length, 1, 7]) {
      const { sink } = decode(damaged, { chunk });
      assert.deepEqual([plain(sink.qemuEvents), plain(sink.malformedKinds)], [{ kvm_run_exit: 4 }, { record: 1 }]);
    }
  });
}

/** Bytes that only look like a record, between garbage and a real record. */
const LOOKALIKES: readonly (readonly [string, timeNs: bigint, pid: number])[] = [
  ['of another process', 1001n, 78],
  ['two hours later', 7_200_000_001_000n, 77],
];

for (const [name, timeNs, pid] of LOOKALIKES) {
  test(`the search for the next record skips a record ${name}`, () => {
    const trace = version4()
      .event(2, 1000, 77, 0, 2)
      .raw(Buffer.alloc(9, 0xaa))
      .event(2, timeNs, pid, 9, 6)
      .event(2, 1002, 77, 1, 2);
    const { sink } = decode(trace.build());
    assert.deepEqual(plain(sink.qemuRunExits), { '77 0 KVM_EXIT_IO': 1, '77 1 KVM_EXIT_IO': 1 });
    assert.deepEqual(plain(sink.malformedKinds), { record: 1 });
  });
}

test('a record of dropped events without their number counts as malformed arguments', () => {
  const { sink } = decode(version4().event(0xfffffffffffffffen, 1000, 77).event(0, 2000, 77).build());
  assert.deepEqual(
    [plain(sink.lostGaps), plain(sink.malformedKinds), plain(sink.qemuEvents)],
    [{}, { arguments: 1 }, { one: 1 }],
  );
});

test('version 3 continues after garbage too', () => {
  const trace = new SimpleBuilder(3)
    .event(2, 1000, 77, 0, 2)
    .raw(Buffer.alloc(1000, 0xaa))
    .event(2, 1001, 77, 0, 2)
    .event(0, 1002, 77);
  const { sink } = decode(trace.build(), { list: LIST });
  assert.deepEqual([plain(sink.qemuEvents), plain(sink.malformedKinds)], [{ kvm_run_exit: 2, one: 1 }, { record: 1 }]);
});

test('garbage among the mappings loses only the mapping that it hits', () => {
  const trace = new SimpleBuilder(4)
    .mapping(0, 'one')
    .mapping(1, 'two')
    .mapping(2, 'kvm_run_exit')
    .event(2, 1, 7, 0, 2)
    .event(1, 2, 7);
  const damaged = trace.build();
  damaged[24 + 20 + 3 + 4] = 0xff;
  const { sink } = decode(damaged);
  assert.deepEqual(
    [plain(sink.qemuEvents), plain(sink.malformedKinds)],
    [{ kvm_run_exit: 1 }, { record: 1, 'unknown-event': 1 }],
  );
});

test('megabytes of garbage count as one malformed record', () => {
  const { sink, decoder } = decode(version4().raw(Buffer.alloc(3_000_000, 0xaa)).build(), { chunk: 10_000 });
  assert.deepEqual([plain(sink.malformedKinds), decoder.problem], [{ record: 1 }, undefined]);
});

function smallTrace(): Buffer {
  return version4()
    .event(2, 1000, 77, 0, 2)
    .event(3, 1500, 77, 'bios')
    .dropped(1600, 77, 12n)
    .mapping(9, 'late')
    .event(9, 1700, 77)
    .build();
}

test('a trace cut in two anywhere decodes the same', () => {
  const trace = smallTrace();
  const whole = all(decode(trace));
  for (let cut = 0; cut <= trace.length; cut++) {
    const vocabulary = newVocabulary();
    const sink = new CountingSink(vocabulary);
    const decoder = new QemuSimpleDecoder(vocabulary, sink);
    decoder.push(trace.subarray(0, cut));
    decoder.push(trace.subarray(cut));
    decoder.end();
    assert.deepEqual(all({ sink, decoder }), whole);
  }
});

test('a trace that ends anywhere has the events before the end, and is truncated unless it ends between two', () => {
  const ends = new Set([0, 24]);
  const parts = [
    version4(),
    version4().event(2, 1000, 77, 0, 2),
    version4().event(2, 1000, 77, 0, 2).event(3, 1500, 77, 'bios'),
  ];
  const [mapped = 0, first = 0, second = 0] = parts.map(({ length }) => length);
  for (const end of [
    new SimpleBuilder(4).mapping(0, 'one').length,
    mapped - 20 - 'load_file'.length,
    mapped,
    first,
    second,
  ])
    ends.add(end);
  const trace = parts[2]?.build() ?? Buffer.alloc(0);
  for (let end = 0; end <= trace.length; end++) {
    const { sink } = decode(trace.subarray(0, end));
    assert.equal(total(sink.qemuEvents), end < first ? 0 : end < second ? 1 : 2);
    assert.deepEqual(plain(sink.malformedKinds), ends.has(end) ? {} : { truncated: 1 }, `ended at ${end}`);
  }
});

const damagedTrace = fc
  .record({
    version: fc.constantFrom(2, 3, 4),
    flips: fc.array(fc.tuple(fc.integer({ min: 24, max: 600 }), fc.nat(255)), { maxLength: 8 }),
    drop: fc.tuple(fc.integer({ min: 24, max: 600 }), fc.nat(40)),
  })
  .map(({ version, flips, drop: [from, count] }) => {
    const builder = version === 4 ? version4() : new SimpleBuilder(version);
    for (let i = 0; i < 8; i++) builder.event(2, 1000 + i, 77, i % 2, 2).event(3, 1500, 77, 'bios');
    const bytes = builder.dropped(1600, 77, 12n).build();
    for (const [at, byte] of flips) if (at < bytes.length) bytes[at] = byte;
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + count)]);
  });

test('damaged and random bytes never throw, and count the same however they are cut', () => {
  const headed = fc.uint8Array({ maxLength: 400 }).map((bytes) => version4().raw(bytes).build());
  fc.assert(
    fc.property(
      fc.oneof(damagedTrace, headed, fc.uint8Array({ maxLength: 200 })),
      fc.integer({ min: 1, max: 60 }),
      (trace, chunk) => {
        assert.deepEqual(all(decode(trace, { chunk, list: LIST })), all(decode(trace, { list: LIST })));
      },
    ),
    { numRuns: 3000 },
  );
});

test('a part of a damaged trace never has more events than the whole', () => {
  fc.assert(
    fc.property(damagedTrace, fc.nat(700), (trace, end) => {
      const part = decode(trace.subarray(0, end), { list: LIST }).sink;
      const whole = decode(trace, { list: LIST }).sink;
      for (const [key, count] of part.qemuRunExits) assert.ok(count <= (whole.qemuRunExits.get(key) ?? 0), key);
      for (const [key, count] of part.qemuEvents) assert.ok(count <= (whole.qemuEvents.get(key) ?? 0), key);
    }),
    { numRuns: 3000 },
  );
});
