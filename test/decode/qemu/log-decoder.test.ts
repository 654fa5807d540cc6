import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeQemuEventText } from '../../../src/decode/qemu/event-text.js';
import { QemuLogDecoder } from '../../../src/decode/qemu/log-decoder.js';
import { readFixture } from '../../support/fixtures.js';
import { CountingSink, plain, total } from '../../support/trace/counting-sink.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

interface Options {
  readonly known?: readonly string[];
  readonly chunk?: number;
}

function decode(log: Uint8Array, { known, chunk = log.length }: Options = {}): CountingSink {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const decoder = new QemuLogDecoder(vocabulary, sink, known === undefined ? {} : { knownEvents: new Set(known) });
  for (let at = 0; at < log.length; at += chunk) decoder.push(log.subarray(at, at + chunk));
  decoder.end();
  return sink;
}

function decodeText(text: string, options?: Options): CountingSink {
  return decode(Buffer.from(text, 'latin1'), options);
}

/** The counts that most tests compare. */
function facts(sink: CountingSink): [Record<string, number>, Record<string, number>, Record<string, number>] {
  return [plain(sink.qemuEvents), plain(sink.qemuRunExits), plain(sink.malformedKinds)];
}

const REASONS: Readonly<Record<string, string>> = {
  reason2: 'KVM_EXIT_IO',
  reason5: 'KVM_EXIT_HLT',
  reason6: 'KVM_EXIT_MMIO',
  reason17: 'KVM_EXIT_INTERNAL_ERROR',
};

/** `cpu0,reason2` -> `0 KVM_EXIT_IO` */
function byCpu(counts: Readonly<Record<string, number>>): Record<string, number> {
  const renamed = (key: string) =>
    key.replace(/^cpu(\d+),(reason\d+)$/, (_, cpu, reason) => `${cpu} ${REASONS[reason] ?? '?'}`);
  return Object.fromEntries(Object.entries(counts).map(([key, count]) => [renamed(key), count]));
}

interface Expected {
  readonly events: Record<string, number>;
  readonly runExits: Record<string, number>;
}

function json(path: string): Record<string, Record<string, number>> {
  return JSON.parse(readFixture(path).toString());
}

function awk(path: string): Expected {
  const { events = {}, kvm_run_exit_by_cpu_reason = {} } = json(path);
  return { events, runExits: byCpu(kvm_run_exit_by_cpu_reason) };
}

function exact(name: string): Expected {
  const runExits = byCpu(json(`exact/${name}/expected.json`).log_backend ?? {});
  return { events: { kvm_run_exit: Object.values(runExits).reduce((a, b) => a + b) }, runExits };
}

function virtio(name: string): Expected {
  const { log_events = {}, log_kvm_run_exit = {} } = json(`virtio/${name}/expected.json`);
  return { events: log_events, runExits: byCpu(log_kvm_run_exit) };
}

function svm(vm: string): Expected {
  const rows: { vm: string; cpu_index: string; reason: string; count: number }[] = JSON.parse(
    readFixture('svm/two-vms-6.12/expected.json').toString(),
  ).kvm_run_exit;
  const own = rows.filter((row) => row.vm === vm);
  const runExits = byCpu(Object.fromEntries(own.map((row) => [`cpu${row.cpu_index},reason${row.reason}`, row.count])));
  return { events: { kvm_run_exit: own.reduce((sum, row) => sum + row.count, 0) }, runExits };
}

function tcg(): Expected {
  const counted = readFixture('virtio/tcg-linux-iothread/expected-log-awk.txt').toString().trim().split('\n');
  const events = Object.fromEntries(
    counted.map((line) => line.trim().split(' ').reverse()).map(([name, count]) => [name, Number(count)]),
  );
  return { events, runExits: {} };
}

const RECORDINGS: readonly (readonly [path: string, expected: Expected])[] = [
  ['qemu-log/b1-plain/log.txt', awk('qemu-log/b1-plain/expected-log.txt.json')],
  ['qemu-log/b2-timestamp/log.txt', awk('qemu-log/b2-timestamp/expected-log.txt.json')],
  ['qemu-log/b4-many-plain/log.txt', awk('qemu-log/b4-many-plain/expected-log.txt.json')],
  ['qemu-log/b5-rotated/log.1', awk('qemu-log/b5-rotated/expected-log.1.json')],
  ['qemu-log/b5-rotated/log.2', awk('qemu-log/b5-rotated/expected-log.2.json')],
  ['qemu-log/b5-rotated/log.3', awk('qemu-log/b5-rotated/expected-log.3.json')],
  ['qemu-log/b6-mixed-lines/log.txt', awk('qemu-log/b6-mixed-lines/expected-log.txt.json')],
  ['exact/e2-mix/log.txt', exact('e2-mix')],
  ['exact/e3-hlt-irqchip-off/log.txt', exact('e3-hlt-irqchip-off')],
  ['exact/e6-internal-error/log.txt', exact('e6-internal-error')],
  ['svm/two-vms-6.12/vm-a.log', svm('vm-a')],
  ['svm/two-vms-6.12/vm-b.log', svm('vm-b')],
  ['virtio/kvm-seabios-ioeventfd/log.txt', virtio('kvm-seabios-ioeventfd')],
  ['virtio/kvm-seabios-no-ioeventfd/log.txt', virtio('kvm-seabios-no-ioeventfd')],
  ['virtio/tcg-linux-iothread/log.txt', tcg()],
];

for (const [path, { events, runExits }] of RECORDINGS) {
  test(`${path} has exactly the events that awk counts`, () => {
    const log = readFixture(path);
    for (const chunk of [log.length, 4093, 61]) {
      const sink = decode(log, { chunk });
      assert.deepEqual(plain(sink.qemuEvents), events);
      assert.deepEqual(plain(sink.qemuRunExitsByCpu), runExits);
      assert.deepEqual(plain(sink.malformedKinds), {});
    }
  });
}

test('with the list of known events a recording counts the same', () => {
  const { events } = awk('qemu-log/b4-many-plain/expected-log.txt.json');
  const sink = decode(readFixture('qemu-log/b4-many-plain/log.txt'), { known: Object.keys(events) });
  assert.deepEqual(plain(sink.qemuEvents), events);
});

test('thread and time come from the prefix', () => {
  const sink = decode(readFixture('qemu-log/b2-timestamp/log.txt'));
  assert.deepEqual(plain(sink.qemuRunExits), {
    '11225 1 KVM_EXIT_IO': 3000,
    '11224 0 KVM_EXIT_IO': 5215,
    '11224 0 KVM_EXIT_MMIO': 500,
  });
  assert.ok(Math.abs(sink.firstTimeNs - 1795395358.699146e9) <= 512, String(sink.firstTimeNs));
});

/** Line; expected events, kvm_run_exit by `id cpu reason`, and malformed lines. */
const LINES: readonly (readonly [string, Record<string, number>, Record<string, number>, Record<string, number>])[] = [
  ['kvm_run_exit cpu_index 1, reason 2', { kvm_run_exit: 1 }, { '0 1 KVM_EXIT_IO': 1 }, {}],
  ['kvm_run_exit cpu_index 1, reason 2\r', { kvm_run_exit: 1 }, { '0 1 KVM_EXIT_IO': 1 }, {}],
  ['9@1.000002:kvm_run_exit cpu_index 1, reason 2', { kvm_run_exit: 1 }, { '9 1 KVM_EXIT_IO': 1 }, {}],
  [
    '2026-11-23T00:55:58.699146Z kvm_run_exit cpu_index 0, reason 6',
    { kvm_run_exit: 1 },
    { '0 0 KVM_EXIT_MMIO': 1 },
    {},
  ],
  [
    '2026-11-23T00:55:58.699146Z (77) kvm_run_exit cpu_index 0, reason 39',
    { kvm_run_exit: 1 },
    { '77 0 KVM_EXIT_MEMORY_FAULT': 1 },
    {},
  ],
  ['vm-a kvm_run_exit cpu_index 3, reason 5', { kvm_run_exit: 1 }, { '0 3 KVM_EXIT_HLT': 1 }, {}],
  ['default_testvm kvm_run_exit cpu_index 3, reason 5', { kvm_run_exit: 1 }, { '0 3 KVM_EXIT_HLT': 1 }, {}],
  [
    '2026-11-23T00:55:58Z my own vm kvm_run_exit cpu_index 3, reason 5',
    { kvm_run_exit: 1 },
    { '0 3 KVM_EXIT_HLT': 1 },
    {},
  ],
  ['kvm_run_exit cpu_index 0, reason 44', { kvm_run_exit: 1 }, { '0 0 44': 1 }, {}],
  ['kvm_run_exit cpu_index 0, reason 2, more 7', { kvm_run_exit: 1 }, { '0 0 KVM_EXIT_IO': 1 }, {}],
  ['kvm_run_exit cpu_index -1, reason 2', { kvm_run_exit: 1 }, { '0 -1 KVM_EXIT_IO': 1 }, {}],
  ['kvm_run_exit cpu_index 0, reason', { kvm_run_exit: 1 }, {}, { arguments: 1 }],
  ['kvm_run_exit cpu_index 0, reason -1', { kvm_run_exit: 1 }, {}, { arguments: 1 }],
  ['kvm_run_exit cpu_index 0, reason 4294967296', { kvm_run_exit: 1 }, {}, { arguments: 1 }],
  ['kvm_run_exit cpu_index 0, reason 2x', { kvm_run_exit: 1 }, {}, { arguments: 1 }],
  ['kvm_run_exit cpu_index 2147483648, reason 2', { kvm_run_exit: 1 }, {}, { arguments: 1 }],
  ['kvm_run_exit cpu_index , reason 2', { kvm_run_exit: 1 }, {}, { arguments: 1 }],
  ['kvm_run_exit', { kvm_run_exit: 1 }, {}, { arguments: 1 }],
  ['kvm_run_exit_system_event cpu_index 0, system_even_type 1', { kvm_run_exit_system_event: 1 }, {}, {}],
  ['kvm_io_window_exit ', { kvm_io_window_exit: 1 }, {}, {}],
  ['kvm_io_window_exit', { kvm_io_window_exit: 1 }, {}, {}],
  ['scsi_disk_emulate_command_SAI_16 SAI READ CAPACITY(16)', { scsi_disk_emulate_command_SAI_16: 1 }, {}, {}],
  ['runstate_set current_run_state 9 (running) new_state 11 (shutdown)', { runstate_set: 1 }, {}, {}],
  ['9@1.000002:ioinst chsc', { ioinst: 1 }, {}, {}],
  ['9@1.000002:', {}, {}, { line: 1 }],
  ['9@1.000002:Hello world', {}, {}, { line: 1 }],
  ['', {}, {}, {}],
  ['EAX=00000000 EBX=00000000', {}, {}, {}],
  ['CPU Reset (CPU 0)', {}, {}, {}],
  ['CCS=00000000 CCD=00000000 CCO=DYNAMIC', {}, {}, {}],
  ['2026-11-23 00:55:58.000+0000: starting up libvirt version: 9.0.0, qemu version: 7.2.22', {}, {}, {}],
  ['char device redirected to /dev/pts/1 (label charserial0)', {}, {}, {}],
  ['qemu-system-x86_64: warning: host_doorbell', {}, {}, {}],
  ['2026-11-23T00:55:58.699146Z qemu-system-x86_64: warning: TSC', {}, {}, {}],
  ['2026-11-23T00:55:58.699146Z qemu-system-x86_64: terminating on signal 15', {}, {}, {}],
  ['-machine pc_q35,usb=off', {}, {}, {}],
  ['invalid accesstype: 1', {}, {}, {}],
  ['some_thing: odd', {}, {}, {}],
  [`${'x_'.repeat(65)} too long a name`, {}, {}, {}],
];

for (const [line, ...expected] of LINES) {
  test(`the line "${line.slice(0, 80)}"`, () => {
    assert.deepEqual(facts(decodeText(`${line}\n`)), expected);
    // The line in chunks of one byte, between two other lines.
    const [events, runExits, malformed] = facts(decodeText(`other\n${line}\nvirtio_notify vdev 1\n`, { chunk: 1 }));
    assert.deepEqual([events, runExits, malformed], [{ ...expected[0], virtio_notify: 1 }, expected[1], expected[2]]);
  });
}

test('a line whose event is not in the list is ignored, also behind the name of a guest', () => {
  const known = ['kvm_run_exit', 'virtio_notify'];
  const sink = decodeText(
    'virtio_notify a\nsome_text b\ndefault_vm virtio_notify a\nsome_vm more words virtio_notify a\n2026-11-23T00:55:58Z some_text\n',
    { known },
  );
  assert.deepEqual(facts(sink), [{ virtio_notify: 3 }, {}, {}]);
});

test('a line with a thread id is an event even if the list does not have it', () => {
  assert.deepEqual(facts(decodeText('7@1.5:novel_event a\n', { known: ['kvm_run_exit'] })), [
    { novel_event: 1 },
    {},
    {},
  ]);
});

test('the name of a guest, once seen before kvm_run_exit, is skipped before other events', () => {
  const sink = decodeText('a_vm kvm_run_exit cpu_index 0, reason 2\na_vm virtio_notify vdev 1\nvirtio_notify vdev 2\n');
  assert.deepEqual(facts(sink), [{ kvm_run_exit: 1, virtio_notify: 2 }, { '0 0 KVM_EXIT_IO': 1 }, {}]);
});

test('a line that is too long is one malformed line, and the next line counts', () => {
  const sink = decodeText(`kvm_run_exit ${'x'.repeat(200_000)}\nvirtio_notify a\n`, { chunk: 1000 });
  assert.deepEqual(facts(sink), [{ virtio_notify: 1 }, {}, { 'line-too-long': 1 }]);
});

/** Last lines without a line end; expected counts as in {@link LINES}. */
const LAST: readonly (readonly [string, Record<string, number>, Record<string, number>, Record<string, number>])[] = [
  ['kvm_run_exit cpu_index 1, reason 2', { kvm_run_exit: 1 }, { '0 1 KVM_EXIT_IO': 1 }, {}],
  ['kvm_run_exit cpu_index 1, reason ', {}, {}, { truncated: 1 }],
  ['kvm_run_ex', {}, {}, { truncated: 1 }],
  ['virtio_notify vdev', { virtio_notify: 1 }, {}, {}],
  ['virtio_notify', {}, {}, { truncated: 1 }],
  ['11225@1795395358.699146:kvm_run_exit cpu_i', {}, {}, { truncated: 1 }],
  ['11225@1795395358.699146:', {}, {}, { truncated: 1 }],
  ['11225@17953', {}, {}, { truncated: 1 }],
  ['2026-11-23T00:55:58.699146Z kvm_ru', {}, {}, { truncated: 1 }],
  ['2026-11-23T00:55:58.699146Z qemu-system', {}, {}, {}],
  ['EAX=0000', {}, {}, {}],
  ['112', {}, {}, {}],
];

for (const [line, ...expected] of LAST) {
  test(`the last line "${line}" without a line end`, () => {
    assert.deepEqual(facts(decodeText(line)), expected);
    assert.deepEqual(facts(decodeText(line, { chunk: 1 })), expected);
  });
}

test('the text of an ftrace marker is decoded as an event without a prefix', () => {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const bytes = Buffer.from('xx kvm_run_exit cpu_index 2, reason 2 yy');
  assert.equal(decodeQemuEventText(bytes, 3, 37, 5000, 42, vocabulary, sink), true);
  assert.equal(decodeQemuEventText(bytes, 0, 2, 5000, 42, vocabulary, sink), false);
  assert.equal(decodeQemuEventText(bytes, 3, 3, 5000, 42, vocabulary, sink), false);
  assert.deepEqual([facts(sink), sink.firstTimeNs], [[{ kvm_run_exit: 1 }, { '42 2 KVM_EXIT_IO': 1 }, {}], 5000]);
});

test('a log cut anywhere counts the same, and a part of it never counts more', () => {
  const log = readFixture('exact/e6-internal-error/log.txt');
  const whole = facts(decode(log));
  for (let cut = 0; cut <= log.length; cut++) {
    const vocabulary = newVocabulary();
    const sink = new CountingSink(vocabulary);
    const decoder = new QemuLogDecoder(vocabulary, sink);
    decoder.push(log.subarray(0, cut));
    decoder.push(log.subarray(cut));
    decoder.end();
    assert.deepEqual(facts(sink), whole);
    const part = decode(log.subarray(0, cut));
    assert.ok(total(part.qemuEvents) <= total(new Map(Object.entries(whole[0]))));
    assert.equal(total(part.qemuEvents), total(part.qemuRunExits));
    assert.deepEqual(Object.keys(plain(part.qemuEvents)), cut < 34 ? [] : ['kvm_run_exit']);
  }
});

const line = fc.constantFrom(
  'kvm_run_exit cpu_index 0, reason 2',
  '9@1.000002:kvm_run_exit cpu_index 1, reason 6',
  '2026-11-23T00:55:58.699146Z (5) virtio_notify vdev 1',
  'CPU Reset (CPU 0)',
);
const damagedLog = fc
  .tuple(fc.array(line, { maxLength: 8 }), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }))
  .map(([lines, flips]) => {
    const log = Buffer.from(`${lines.join('\n')}\n`);
    for (const [at, byte] of flips) if (at < log.length) log[at] = byte;
    return log;
  });

test('damaged and random bytes never throw, and count the same however they are cut', () => {
  fc.assert(
    fc.property(
      fc.oneof(damagedLog, fc.uint8Array({ maxLength: 300 })),
      fc.integer({ min: 1, max: 50 }),
      (log, chunk) => {
        assert.deepEqual(facts(decode(log, { chunk })), facts(decode(log)));
      },
    ),
    { numRuns: 2000 },
  );
});

test('a part of a damaged log never has more events than the whole', () => {
  fc.assert(
    fc.property(damagedLog, fc.nat(400), (log, cut) => {
      assert.ok(total(decode(log.subarray(0, cut)).qemuEvents) <= total(decode(log).qemuEvents) + 0);
    }),
    { numRuns: 2000 },
  );
});
