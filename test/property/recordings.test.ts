/**
 * Properties of reading a recording that is cut or damaged: it ends in time and without an exception, counts the events
 * that are there, and reports the rest as malformed or lost.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FtraceTextDecoder } from '../../src/decode/ftrace/text-decoder.js';
import { FTRACE_TEXT } from '../../src/source/recording/formats/ftrace-text.js';
import { QEMU_LOG } from '../../src/source/recording/formats/qemu-log.js';
import { QEMU_SIMPLE } from '../../src/source/recording/formats/qemu-simple.js';
import type { RecordingFormat } from '../../src/source/recording/formats/recording-format.js';
import { AgentError } from '../../src/system/errors.js';
import { cpuMs } from '../support/cpu-ms.js';
import { readFixture } from '../support/fixtures.js';
import { CountingSink, type Counts, total } from '../support/trace/counting-sink.js';
import { SimpleBuilder } from '../support/trace/simple-builder.js';
import { newVocabulary } from '../support/trace/vocabulary.js';

interface Sample {
  readonly name: string;
  readonly format: RecordingFormat;
  readonly bytes: Buffer;
}

interface Reading {
  readonly sink: CountingSink;
  /** True if the reader rejected the file as a whole. */
  readonly refused: boolean;
}

const text = (name: string, path: string, from: number, length: number): Sample => {
  const bytes = readFixture(path);
  const start = from === 0 ? 0 : bytes.indexOf(10, from) + 1;
  return {
    name,
    format: path.endsWith('log.txt') ? QEMU_LOG : FTRACE_TEXT,
    bytes: bytes.subarray(start, start + length),
  };
};

/** The ends of the header and of each record of {@link SIMPLE}. */
const PIECES = [24];
function simpleTrace(records: number): Buffer {
  const trace = new SimpleBuilder(4);
  const piece = (add: (builder: SimpleBuilder) => void): void => {
    add(trace);
    PIECES.push(trace.length);
  };
  const names = ['kvm_run_exit', 'virtio_queue_notify', 'load_file'];
  for (const [id, name] of names.entries()) piece((builder) => void builder.mapping(id + 1, name));
  for (let i = 0; i < records; i++) {
    const timeNs = 2_255_094_928_498 + i * 1000;
    if (i % 7 === 3) piece((builder) => builder.event(3, timeNs, 7042, `name${i}`, '/usr/share/x'));
    else if (i % 7 === 5) piece((builder) => builder.event(2, timeNs, 7042, 0x55d0, i, 0x7f2a));
    else if (i % 20 === 9) piece((builder) => builder.dropped(timeNs, 7042, BigInt(i)));
    else piece((builder) => builder.event(1, timeNs, 7042, i % 2, 2));
  }
  return trace.build();
}

const LOST = Buffer.from('CPU:1 [LOST 1472 EVENTS]\nCPU:0 [LOST EVENTS]\n');
const C3 = text('ftrace text', 'ftrace-text/c3-instance-copymarker-tgid/trace_pipe.txt', 200_000, 24_000);
const SIMPLE: Sample = { name: 'simple trace', format: QEMU_SIMPLE, bytes: simpleTrace(60) };
const REAL_SIMPLE = readFixture('qemu-simple/a1-seabios-2vcpu/trace-a1');

/** Small enough to try every way to cut them in two. */
const SMALL: Sample[] = [
  { ...C3, bytes: Buffer.concat([C3.bytes.subarray(0, 900), LOST, C3.bytes.subarray(900, 1800)]) },
  text('latency format', 'text-variants/trace_pipe.opt-latency-format.txt', 2000, 900),
  text('log with prefixes', 'qemu-log/b2-timestamp/log.txt', 0, 1200),
  text('log among other lines', 'qemu-log/b6-mixed-lines/log.txt', 4800, 1600),
  { ...SIMPLE, bytes: SIMPLE.bytes.subarray(0, 1501) },
];

const SAMPLES: Sample[] = [
  { ...C3, bytes: Buffer.concat([C3.bytes, LOST, C3.bytes]) },
  text('svm', 'svm/two-vms-6.12/trace_pipe.txt', 500_000, 20_000),
  text('perf script', 'perf/perf-script.txt', 50_000, 20_000),
  text('log with prefixes', 'qemu-log/b2-timestamp/log.txt', 0, 20_000),
  text('log among other lines', 'qemu-log/b6-mixed-lines/log.txt', 0, 20_000),
  SIMPLE,
  { name: 'simple trace of QEMU', format: QEMU_SIMPLE, bytes: REAL_SIMPLE.subarray(0, REAL_SIMPLE.length) },
];

/** Far more than a decoder needs that reads its input once, far less than one that reads it again and again. */
const MAX_MS_PER_MB = 1500;

function read(format: RecordingFormat, chunks: Iterable<Uint8Array>, how: 'whole' | 'cut' = 'whole'): Reading {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const before = process.cpuUsage();
  let refused = false;
  let length = 0;
  try {
    const reader = format.createReader('x', { kernel: () => sink, qemu: () => sink }, { vocabulary });
    for (const chunk of chunks) {
      length += chunk.length;
      reader.push(chunk);
    }
    reader.end(how);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    refused = true;
  }
  const { user, system } = process.cpuUsage(before);
  assert.ok((user + system) / 1000 < MAX_MS_PER_MB * (1 + length / 1e6), `${length} bytes took too long`);
  for (const counts of mapsOf(sink).values())
    for (const count of counts.values())
      assert.ok(Number.isFinite(count) && count >= 0, 'a count that is not a number');
  return { sink, refused };
}

/** All counts of the sink, by the name of its field. */
function mapsOf(sink: CountingSink): Map<string, Counts> {
  return new Map(Object.entries(sink).filter(([name, value]) => value instanceof Map && name !== 'threads'));
}

function events(sink: CountingSink): number {
  return total(sink.tracepoints) + total(sink.qemuEvents);
}

function complaints(sink: CountingSink): number {
  return total(sink.malformedKinds) + total(sink.lostGaps);
}

const sample = fc.constantFrom(...SAMPLES);
/** A position in a sample, as a fraction of its length, because samples differ in length. */
const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const at = (bytes: Uint8Array, part: number): number => Math.floor(part * bytes.length);

describe('a recording', () => {
  for (const { name, format, bytes } of SMALL) {
    it(`gives the same counts wherever it is cut into chunks: ${name}`, () => {
      const whole = mapsOf(read(format, [bytes]).sink);
      assert.ok(
        [...whole.values()].some((counts) => total(counts) >= 8),
        'the sample has too few events',
      );
      for (let split = 1; split < bytes.length; split++) {
        const parts = mapsOf(read(format, [bytes.subarray(0, split), bytes.subarray(split)]).sink);
        assert.deepEqual(parts, whole, `split at ${split}`);
      }
      const single = Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
      assert.deepEqual(mapsOf(read(format, single).sink), whole, 'byte by byte');
    });
  }

  it('gives the same counts in chunks of any sizes', () => {
    fc.assert(
      fc.property(sample, fc.array(fraction, { maxLength: 30 }), ({ format, bytes }, parts) => {
        const ends = [...parts.map((part) => at(bytes, part)), bytes.length].sort((a, b) => a - b);
        const chunks = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
        assert.deepEqual(mapsOf(read(format, chunks).sink), mapsOf(read(format, [bytes]).sink));
      }),
      { numRuns: 100 },
    );
  });

  it('gives the same counts if its chunks are overwritten after they were read', () => {
    fc.assert(
      fc.property(sample, fc.integer({ min: 1, max: 5000 }), ({ format, bytes }, size) => {
        const buffer = Buffer.alloc(size);
        const chunks = function* (): Generator<Uint8Array> {
          for (let start = 0; start < bytes.length; start += size) {
            buffer.fill(0x78);
            yield buffer.subarray(0, bytes.copy(buffer, 0, start, start + size));
          }
        };
        assert.deepEqual(mapsOf(read(format, chunks()).sink), mapsOf(read(format, [bytes]).sink));
      }),
      { numRuns: 60 },
    );
  });

  it('gives no more counts if it is cut, except for a word that was cut', () => {
    fc.assert(
      fc.property(sample, fraction, ({ format, bytes }, part) => {
        const whole = read(format, [bytes]).sink;
        const cut = read(format, [bytes.subarray(0, at(bytes, part))]).sink;
        assert.ok(events(cut) <= events(whole));
        for (const [kind, counts] of mapsOf(cut)) {
          if (kind === 'malformedKinds') continue;
          const all = mapsOf(whole).get(kind) ?? new Map<string, number>();
          let more = 0;
          for (const [key, count] of counts) more += Math.max(0, count - (all.get(key) ?? 0));
          // The last line may end inside a number or name, which makes another one of it. A simple trace has no lines.
          assert.ok(more <= (format === QEMU_SIMPLE ? 0 : 1), `${more} too many in ${kind}`);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is reported as truncated if its unpacking failed', () => {
    for (const { format, bytes } of SAMPLES)
      assert.ok((read(format, [bytes], 'cut').sink.malformedKinds.get('truncated') ?? 0) >= 1);
  });
});

type Damage = (bytes: Buffer) => Buffer;

const flip = fc.array(fc.tuple(fraction, fc.nat(7)), { minLength: 1, maxLength: 40 }).map(
  (flips): Damage =>
    (bytes) => {
      const damaged = Buffer.from(bytes);
      for (const [part, bit] of flips) {
        const index = Math.min(at(bytes, part), bytes.length - 1);
        damaged[index] = (damaged[index] ?? 0) ^ (1 << bit);
      }
      return damaged;
    },
);
const insert = fc.tuple(fraction, fc.uint8Array({ maxLength: 300 })).map(
  ([part, extra]): Damage =>
    (bytes) => {
      const index = at(bytes, part);
      return Buffer.concat([bytes.subarray(0, index), extra, bytes.subarray(index)]);
    },
);
const duplicate = fc.tuple(fraction, fraction, fc.nat(3000)).map(
  ([from, to, length]): Damage =>
    (bytes) => {
      const slice = bytes.subarray(at(bytes, from), at(bytes, from) + length);
      const index = at(bytes, to);
      return Buffer.concat([bytes.subarray(0, index), slice, bytes.subarray(index)]);
    },
);
const remove = fc.tuple(fraction, fc.nat(3000)).map(
  ([part, length]): Damage =>
    (bytes) => {
      const index = at(bytes, part);
      return Buffer.concat([bytes.subarray(0, index), bytes.subarray(index + length)]);
    },
);
const damage = fc.array(fc.oneof(flip, insert, duplicate, remove), { minLength: 1, maxLength: 4 }).map(
  (steps): Damage =>
    (bytes) =>
      steps.reduce((damaged, step) => step(damaged), bytes),
);

/** The lines that are neither empty nor comments. */
function contentLines(bytes: Buffer): string[] {
  const lines = bytes.toString('latin1').split('\n');
  return lines.map((line) => line.replace(/\r$/, '')).filter((line) => line !== '' && !line.startsWith('#'));
}

const ftrace = fc.constantFrom(...SAMPLES.filter(({ format }) => format === FTRACE_TEXT));
const log = fc.constantFrom(...SAMPLES.filter(({ format }) => format === QEMU_LOG));

describe('a damaged recording', () => {
  it('is read without an exception and has no more events than fit', () => {
    fc.assert(
      fc.property(sample, damage, ({ format, bytes }, apply) => {
        const damaged = apply(bytes);
        const { sink } = read(format, [damaged]);
        const least = format === QEMU_SIMPLE ? 24 : 4;
        assert.ok(events(sink) <= (2 * damaged.length) / least);
      }),
      { numRuns: 400 },
    );
  });

  it('of ftrace text has no more events and losses than lines, and times in the middle of lines', () => {
    fc.assert(
      fc.property(ftrace, damage, ({ format, bytes }, apply) => {
        const damaged = apply(bytes);
        const { sink } = read(format, [damaged]);
        const text = damaged.toString('latin1');
        const lines = text.split(/[\r\n]/).length;
        // Damage joins lines, and a saved line can hold several events.
        const times = text.match(/[^\r\n]\d(?:us.)?: /g)?.length ?? 0;
        assert.ok(total(sink.tracepoints) + total(sink.lostGaps) <= lines + times);
        assert.ok((sink.malformedKinds.get('line') ?? 0) <= lines + times);
      }),
      { numRuns: 300 },
    );
  });

  it('of a running kernel has an event, a loss or a malformed line for every line', () => {
    fc.assert(
      fc.property(ftrace, damage, ({ bytes }, apply) => {
        const damaged = apply(bytes);
        const vocabulary = newVocabulary();
        const sink = new CountingSink(vocabulary);
        const decoder = new FtraceTextDecoder(vocabulary, sink);
        decoder.push(damaged);
        decoder.end();
        const kinds = ['line', 'line-too-long', 'truncated'].map((kind) => sink.malformedKinds.get(kind) ?? 0);
        const accounted = total(sink.tracepoints) + total(sink.lostGaps) + kinds.reduce((a, b) => a + b);
        assert.equal(accounted, contentLines(damaged).length);
      }),
      { numRuns: 300 },
    );
  });

  it('of a log has an event or a malformed line for every line that begins like an event', () => {
    fc.assert(
      fc.property(log, damage, ({ format, bytes }, apply) => {
        const damaged = apply(bytes);
        const { sink } = read(format, [damaged]);
        const begun = contentLines(damaged).filter((line) => /^\d+@\d+\.\d+:/.test(line)).length;
        assert.ok(total(sink.qemuEvents) + total(sink.malformedKinds) >= begun);
        // A saved line can hold several events, each with a prefix, behind a mark, or kvm_run_exit.
        assert.ok(total(sink.qemuEvents) <= damaged.toString('latin1').split(/[\r\n]|@|cpu_index|[\\"'<]/).length);
      }),
      { numRuns: 300 },
    );
  });

  it('of a simple trace with one wrong bit loses no event without reporting it', () => {
    const whole = events(read(QEMU_SIMPLE, [SIMPLE.bytes]).sink);
    for (let place = 0; place < SIMPLE.bytes.length * 8; place++) {
      const [index, bit] = [place >> 3, place & 7];
      const damaged = Buffer.from(SIMPLE.bytes);
      damaged[index] = (damaged[index] ?? 0) ^ (1 << bit);
      const { sink, refused } = read(QEMU_SIMPLE, [damaged]);
      const reported = total(sink.malformedKinds) > 0 || total(sink.lostGaps) > LOSSES;
      assert.ok(refused || reported || events(sink) >= whole, `bit ${bit} of byte ${index}`);
    }
  });

  it('of a simple trace that is cut has the records before the cut, and reports a cut inside a record', () => {
    for (let length = 0; length <= SIMPLE.bytes.length; length++) {
      const { sink, refused } = read(QEMU_SIMPLE, [SIMPLE.bytes.subarray(0, length)]);
      const pieces = PIECES.filter((end) => end <= length).length;
      assert.equal(events(sink) + total(sink.lostGaps), Math.max(0, pieces - 4), `${length} bytes`);
      assert.equal(refused, length > 0 && length < 24);
      assert.equal(complaints(sink) > total(sink.lostGaps), length > 0 && !PIECES.includes(length), `${length} bytes`);
    }
  });
});

/** The number of records of dropped events in {@link SIMPLE}. */
const LOSSES = total(read(QEMU_SIMPLE, [SIMPLE.bytes]).sink.lostGaps);

const FORMATS: readonly RecordingFormat[] = [FTRACE_TEXT, QEMU_LOG, QEMU_SIMPLE];
const format = fc.constantFrom(...FORMATS);

/** Words that decoders look for. */
const WORDS = [
  ...['[', ']', '(', ')', ' ', '-', ':', ': ', '.', '@', '#', '\n', '\r\n', '\0', '0', '1', '9'.repeat(400), '0x'],
  ...[
    ' CPU 0/KVM-1 ',
    '[000] ',
    ') [0] ',
    '(1) ',
    'd..1. ',
    '1.000001: ',
    '13us!: ',
    'ms (+',
    'CPU:',
    ' [LOST ',
    ' EVENTS]',
  ],
  ...[
    'kvm_exit: ',
    'vcpu ',
    ' reason ',
    'io',
    ' rip ',
    ' info1 0x',
    'HSR_EC: ',
    'TRAP',
    'SCAUSE:',
    'exit sie icptcode ',
  ],
  ...['kvm_userspace_exit: reason X (', 'kvm_pio: pio_write at ', ' size ', 'kvm_mmio: mmio read gpa ', 'type: '],
  ...['tracing_mark_write: ', '1@1.1:', 'kvm_run_exit cpu_index ', ', reason ', '2026-11-23T00:55:58.1Z ', 'a_b '],
];

describe('input that is not a recording', () => {
  it('is read to its end: random bytes', () => {
    fc.assert(
      fc.property(format, fc.uint8Array({ maxLength: 5000, size: 'max' }), (name, bytes) => {
        read(name, [bytes]);
        if (name === QEMU_SIMPLE) read(name, [SIMPLE.bytes.subarray(0, 24), bytes]);
      }),
      { numRuns: 400 },
    );
  });

  it('is read to its end: words that decoders look for', () => {
    fc.assert(
      fc.property(format, fc.array(fc.constantFrom(...WORDS), { maxLength: 300, size: 'max' }), (name, words) => {
        read(name, [Buffer.from(words.join(''), 'latin1')]);
      }),
      { numRuns: 800 },
    );
  });

  it('takes time in proportion to its length: the same words over and over', () => {
    const chunk = fc.tuple(format, fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 3 }));
    const megabyte = ([name, words]: [RecordingFormat, string[]]): void => {
      const pattern = words.join('');
      const line = pattern.repeat(Math.ceil(60_000 / pattern.length));
      const bytes = Buffer.from(`${line}\n`.repeat(Math.ceil(300_000 / line.length)), 'latin1');
      read(name, [bytes]);
    };
    for (const word of WORDS) megabyte([FTRACE_TEXT, [word]]);
    fc.assert(fc.property(chunk, megabyte), { numRuns: 60 });
  });

  it('gives no infinite counts: numbers of hundreds of digits', () => {
    const huge = '9'.repeat(400);
    const header = ` a-${huge} [${huge}] d..1. ${huge}.${huge}: `;
    const lines = [
      `CPU:${huge} [LOST 1 EVENTS]`,
      `CPU:0 [LOST ${huge} EVENTS]`,
      `${header}kvm_exit: vcpu ${huge} reason io rip 0x1 info1 0x${huge} info2 0x${huge}`,
      `${header}kvm_userspace_exit: reason X (${huge})`,
      `${header}kvm_pio: pio_write at 0x${huge} size ${huge} count 1 val 0x1`,
      `${header}tracing_mark_write: kvm_run_exit cpu_index ${huge}, reason ${huge}`,
    ];
    const { sink } = read(FTRACE_TEXT, [Buffer.from(lines.map((line) => `${line}\n`).join(''))]);
    assert.equal(total(sink.tracepoints), 4);
    assert.equal(total(sink.lostGaps), 1);
    assert.equal(sink.malformedKinds.get('line'), 2);
    for (const counts of mapsOf(sink).values()) assert.doesNotMatch([...counts.keys()].join(), /Infinity|NaN/);
  });

  it('takes no longer than other text: brackets without an end', () => {
    for (const pattern of [') [0] ', 'x-1 [0] ', '[', '9', ' ', 'kvm_exit: ', '1@', 'a_b ', 'CPU:1 [', 'ms (+[']) {
      const line = `${pattern.repeat(Math.ceil(60_000 / pattern.length))}\n`;
      const bytes = Buffer.from(line.repeat(40), 'latin1');
      for (const name of FORMATS) {
        const ms = cpuMs(() => void read(name, [bytes]));
        assert.ok(ms < 2000, `${name.name} of ${JSON.stringify(pattern)}`);
      }
    }
  });
});
