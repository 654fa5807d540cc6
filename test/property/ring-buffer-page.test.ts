/** Properties that hold for any bytes: the page decoder ends, does not throw, and finds no more events than fit. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseEventFormat, parsePageHeader } from '../../src/decode/format/event-format.js';
import { fieldLabels } from '../../src/decode/format/print-fmt.js';
import { PageCursor } from '../../src/decode/ftrace/page-cursor.js';
import { PageStream } from '../../src/decode/ftrace/page-stream.js';
import { RecordDecoder } from '../../src/decode/ftrace/record-decoder.js';
import { kernelLabels } from '../../src/decode/kvm/exit/x86-labels.js';
import { readFixture } from '../support/fixtures.js';
import { CountingSink, plain, total } from '../support/trace/counting-sink.js';
import { formatTexts, readFormats } from '../support/trace/recorded-formats.js';
import { newVocabulary } from '../support/trace/vocabulary.js';

const PAGE_SIZE = 4096;
const RECORDINGS = ['exact/e3-hlt-irqchip-off', 'virtio/kvm-seabios-ioeventfd', 'ftrace-raw/d3-overrun'].map(
  (name) => ({
    formats: readFormats(name),
    bytes: readFixture(`${name}/cpu0.raw`).subarray(0, 17 * PAGE_SIZE),
  }),
);
const FORMATS = (RECORDINGS[0] ?? assert.fail()).formats;
const TEXTS = [...formatTexts('svm/two-vms-6.12').values()];

function decode(bytes: Uint8Array, formats = FORMATS, chunkSize = bytes.length): CountingSink {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const cursor = new PageCursor(new RecordDecoder({ formats, vocabulary, sink }), 0);
  const pages = new PageStream(PAGE_SIZE);
  const run = (page: Uint8Array): void => {
    cursor.load(page);
    cursor.run(Number.POSITIVE_INFINITY);
    assert.equal(cursor.nextTimeNs, Number.POSITIVE_INFINITY);
  };
  for (let at = 0; at < bytes.length; at += chunkSize) {
    pages.push(bytes.subarray(at, at + chunkSize));
    for (let page = pages.next(); page !== undefined; page = pages.next()) run(page);
  }
  const rest = pages.end();
  if (rest !== undefined) run(rest);
  return sink;
}

const recording = fc.constantFrom(...RECORDINGS);

describe('PageCursor', () => {
  it('finds no more events than fit in random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3 * PAGE_SIZE, size: 'max' }), (bytes) => {
        assert.ok(total(decode(bytes).tracepoints) <= bytes.length / 8);
      }),
    );
  });

  it('finds no more events than fit in random records behind a good header', () => {
    const record = fc.tuple(fc.nat(31), fc.nat(3), fc.uint8Array({ maxLength: 64 }));
    fc.assert(
      fc.property(fc.array(record, { maxLength: 60 }), fc.nat(PAGE_SIZE), (records, commit) => {
        const page = new Uint8Array(PAGE_SIZE);
        const view = new DataView(page.buffer);
        view.setUint32(8, commit, true);
        let at = 16;
        for (const [typeLen, delta, content] of records) {
          if (at + 4 + content.length > PAGE_SIZE) break;
          view.setUint32(at, delta * 32 + typeLen, true);
          page.set(content, at + 4);
          at += 4 + Math.ceil(content.length / 4) * 4;
          if (at > PAGE_SIZE - 4) break;
        }
        assert.ok(total(decode(page).tracepoints) <= PAGE_SIZE / 8);
      }),
    );
  });

  it('reads pages with flipped bits', () => {
    const flips = fc.array(fc.tuple(fc.nat(17 * PAGE_SIZE - 1), fc.nat(7)), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(recording, flips, ({ bytes, formats }, places) => {
        const damaged = Uint8Array.from(bytes);
        for (const [at, bit] of places) if (at < damaged.length) damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
        const sink = decode(damaged, formats);
        assert.ok(total(sink.tracepoints) <= damaged.length / 8);
      }),
      { numRuns: 300 },
    );
  });

  it('finds no more events in a part of a recording than in the whole', () => {
    fc.assert(
      fc.property(recording, fc.nat(17 * PAGE_SIZE), ({ bytes, formats }, length) => {
        const whole = plain(decode(bytes, formats).tracepoints);
        for (const [name, count] of decode(bytes.subarray(0, length), formats).tracepoints) {
          assert.ok(count <= (whole[name] ?? 0), name);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('finds the same events in chunks of any size', () => {
    fc.assert(
      fc.property(recording, fc.integer({ min: 1, max: 20_000 }), ({ bytes, formats }, chunkSize) => {
        const [whole, chunked] = [decode(bytes, formats), decode(bytes, formats, chunkSize)];
        assert.deepEqual(chunked.tracepoints, whole.tracepoints);
        assert.deepEqual(chunked.lostEvents, whole.lostEvents);
      }),
      { numRuns: 60 },
    );
  });
});

describe('parseEventFormat', () => {
  it('returns a format or a problem for a damaged format file', () => {
    const cut = fc.tuple(fc.constantFrom(...TEXTS), fc.nat(8000), fc.nat(200), fc.string({ maxLength: 20 }));
    fc.assert(
      fc.property(cut, ([text, at, removed, inserted]) => {
        const damaged = text.slice(0, at) + inserted + text.slice(at + removed);
        const event = parseEventFormat(damaged);
        assert.ok('problem' in event ? event.problem.length < 500 : event.fields.length > 0);
        parsePageHeader(damaged);
        kernelLabels(damaged);
        fieldLabels(damaged, 'reason');
      }),
      { numRuns: 500 },
    );
  });

  it('returns a problem for random characters', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        assert.ok('problem' in parseEventFormat(text));
        assert.ok('problem' in parsePageHeader(text));
      }),
    );
  });
});
