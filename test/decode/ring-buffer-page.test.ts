import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEventFormats } from '../../src/decode/event-format.js';
import { RecordDecoder } from '../../src/decode/record-decoder.js';
import { PageCursor } from '../../src/decode/ring-buffer-page.js';
import { CallSink } from '../support/call-sink.js';
import { formatText, headerPageText, PageBuilder, type PageShape, payload } from '../support/page-builder.js';
import { newVocabulary } from '../support/vocabulary.js';

const TICK = 7;
const CPU = 3;
const TID = 42;

/** A cursor that knows one event, `tick`, and the calls that its sink got. */
function cursorFor(shape: PageShape = {}, clockNs = true): { cursor: PageCursor; calls: string[] } {
  const bigEndian = shape.bigEndian ?? false;
  const read = readEventFormats(headerPageText(shape), [formatText('tick', TICK, [['u32 value', 8, 4]])], bigEndian);
  assert.ok('formats' in read);
  const vocabulary = newVocabulary();
  const sink = new CallSink(vocabulary);
  const decoder = new RecordDecoder({ formats: read.formats, vocabulary, sink, clockNs });
  return { cursor: new PageCursor(decoder, CPU), calls: sink.calls };
}

function tick(bigEndian = false): Uint8Array {
  return payload(TICK, TID, [[8, 4, 1]], { bigEndian });
}

/** What the page gives: event times and everything else that was said. */
function decode(page: Uint8Array, shape: PageShape = {}): string[] {
  const { cursor, calls } = cursorFor(shape);
  cursor.load(page);
  cursor.run(Number.POSITIVE_INFINITY);
  assert.equal(cursor.nextTimeNs, Number.POSITIVE_INFINITY);
  return calls;
}

const at = (time: number | bigint): string => `tracepoint ${time} ${CPU} ${TID} tick`;

describe('records', () => {
  it('have the time of the page and the deltas so far', () => {
    const page = new PageBuilder(1000n).event(0, tick()).event(5, tick()).event(20, tick()).build();
    assert.deepEqual(decode(page), [at(1000), at(1005), at(1025)]);
  });

  it('may have a word for their length', () => {
    const page = new PageBuilder(1000n)
      .longEvent(1, payload(TICK, TID, [], { size: 200 }))
      .event(1, tick())
      .build();
    assert.deepEqual(decode(page), [at(1001), at(1002)]);
  });

  it('use all 27 bits of the delta', () => {
    const page = new PageBuilder(0n).event(0x7ffffff, tick()).build();
    assert.deepEqual(decode(page), [at(0x7ffffff)]);
  });

  it('come later after a time extend', () => {
    const page = new PageBuilder(1000n).event(0, tick()).timeExtend(5_000_000_000n).event(1, tick()).build();
    assert.deepEqual(decode(page), [at(1000), at(5_000_001_001)]);
  });

  it('take an absolute time as it is', () => {
    const page = new PageBuilder(1000n).timeStamp(9_000_000_000n).event(3, tick()).event(4, tick()).build();
    assert.deepEqual(decode(page), [at(9_000_000_003), at(9_000_000_007)]);
  });

  it('are nothing where they were discarded, but their delta counts', () => {
    const page = new PageBuilder(1000n).event(0, tick()).discarded(50, 24).event(5, tick()).build();
    assert.deepEqual(decode(page), [at(1000), at(1055)]);
  });

  it('do not count the delta of 1 that marks a discarded record without one', () => {
    const page = new PageBuilder(1000n).event(0, tick()).discarded(1, 8).event(5, tick()).build();
    assert.deepEqual(decode(page), [at(1000), at(1005)]);
  });

  it('end at padding without a delta', () => {
    const page = new PageBuilder(1000n).event(0, tick()).end().event(5, tick()).build();
    assert.deepEqual(decode(page), [at(1000)]);
  });

  it('end where the page is still being written', () => {
    const page = new PageBuilder(1000n).event(0, tick()).event(5, tick()).build({ commit: 16 });
    assert.deepEqual(decode(page), [at(1000)]);
  });

  it('may be none', () => {
    assert.deepEqual(decode(new PageBuilder(1000n).build()), []);
    assert.deepEqual(decode(new PageBuilder(1000n).discarded(1, 8).timeExtend(5n).build()), []);
    assert.deepEqual(decode(new Uint8Array(0)), []);
  });
});

describe('times beyond 59 bits', () => {
  const top = 3n << 59n;

  it('get the top bits that an absolute time stamp lacks', () => {
    const [call] = decode(
      new PageBuilder(top + 1000n)
        .timeStamp(top + 5_000_000n)
        .event(0, tick())
        .build(),
    );
    assert.equal(call, at(Number(top + 5_000_000n)));
  });

  it('go on where the absolute time stamp wrapped', () => {
    const late = top + (1n << 59n) - 1000n;
    const [call] = decode(
      new PageBuilder(late)
        .timeStamp(top + (1n << 59n) + 4096n)
        .event(0, tick())
        .build(),
    );
    assert.equal(call, at(Number(top + (1n << 59n) + 4096n)));
  });

  it('do not jump an age ahead when rounding makes a time stamp look older', () => {
    const page = new PageBuilder(top + 255n)
      .event(100, tick())
      .timeStamp(top + 256n)
      .event(100, tick())
      .build();
    for (const call of decode(page)) assert.ok(Number(call.split(' ')[1]) - Number(top) < 2000, call);
  });

  it('do not lose small steps', () => {
    const builder = new PageBuilder(top);
    for (let i = 0; i < 100; i++) builder.event(100, tick());
    const last = decode(builder.build()).at(-1) ?? '';
    assert.ok(Math.abs(Number(last.split(' ')[1]) - Number(top + 10_000n)) <= 512, last);
  });
});

describe('losses', () => {
  const oneEvent = (): PageBuilder => new PageBuilder(1000n).event(0, tick());

  for (const [what, page, call] of [
    ['counted', oneEvent().build({ missed: 22097 }), `lost ${CPU} 22097`],
    ['not counted', oneEvent().build({ missed: 'unknown' }), `lost ${CPU} -1`],
    [
      'not counted, with other bytes behind the data',
      oneEvent().word(5).build({ missed: 'unknown', commit: 16 }),
      `lost ${CPU} -1`,
    ],
    ['counted as none', oneEvent().build({ missed: 0 }), `lost ${CPU} -1`],
    ['a count too large to be one', oneEvent().build({ missed: 2 ** 60 }), `lost ${CPU} -1`],
  ] as const) {
    it(`are reported before the events of the page: ${what}`, () => {
      assert.deepEqual(decode(page), [call, at(1000)]);
    });
  }

  it('are unknown where the count lies behind the end of what was read', () => {
    const page = oneEvent().build({ missed: 5 });
    assert.deepEqual(decode(page.subarray(0, 16 + 16 + 4)), [`lost ${CPU} -1`, at(1000)]);
  });

  it('are reported when the first event is due, not when the page is loaded', () => {
    const { cursor, calls } = cursorFor();
    cursor.load(oneEvent().build({ missed: 9 }));
    cursor.run(999);
    assert.deepEqual(calls, []);
    cursor.run(1000);
    assert.deepEqual(calls, [`lost ${CPU} 9`, at(1000)]);
  });

  it('are reported for a page without events', () => {
    assert.deepEqual(decode(new PageBuilder(1n).build({ missed: 9 })), [`lost ${CPU} 9`]);
  });

  it('belong to their page only', () => {
    const { cursor, calls } = cursorFor();
    cursor.load(oneEvent().build({ missed: 9 }));
    cursor.load(oneEvent().build());
    cursor.run(Number.POSITIVE_INFINITY);
    assert.deepEqual(calls, [`lost ${CPU} 9`, at(1000), at(1000)]);
  });
});

describe('kernels of other kinds', () => {
  for (const [what, shape] of [
    ['32 bits', { longSize: 4 }],
    ['big-endian', { bigEndian: true }],
    ['big-endian, 32 bits', { bigEndian: true, longSize: 4 }],
    ['sub-buffers of 64 KiB', { pageSize: 65536 }],
  ] as const satisfies readonly (readonly [string, PageShape])[]) {
    it(`are read: ${what}`, () => {
      const { bigEndian = false }: PageShape = shape;
      const page = new PageBuilder(0x1_0000_0001n, shape)
        .event(0, tick(bigEndian))
        .timeExtend(1n << 40n)
        .longEvent(7, payload(TICK, TID, [], { size: 3000, bigEndian }))
        .discarded(2, 8)
        .timeStamp((1n << 41n) + 5n)
        .event(1, tick(bigEndian))
        .build({ missed: 77 });
      assert.deepEqual(decode(page, shape), [
        `lost ${CPU} 77`,
        at(0x1_0000_0001n),
        at(0x1_0000_0001n + (1n << 40n) + 7n),
        at((1n << 41n) + 6n),
      ]);
    });
  }

  it('are read although header_page promised smaller sub-buffers', () => {
    const page = new PageBuilder(1n, { pageSize: 16384 }).longEvent(0, payload(TICK, TID, [], { size: 8000 })).build();
    assert.deepEqual(decode(page), [at(1)]);
  });
});

describe('pages that contradict themselves', () => {
  const good = (): PageBuilder => new PageBuilder(1000n).event(0, tick());

  for (const [what, page, kind] of [
    ['a record longer than the page', good().word(28).build(), 'page'],
    ['a length word beyond the page', good().word(0).word(50_000).build(), 'page'],
    ['a length word of 4 GiB', good().word(0).word(0xffffffff).build(), 'page'],
    ['a length of nothing', good().word(0).word(0).event(0, tick()).build(), 'page'],
    ['a length shorter than itself', good().word(0).word(3).event(0, tick()).build(), 'page'],
    [
      'a discarded record of no length',
      good()
        .word(29 + 64)
        .word(0)
        .event(0, tick())
        .build(),
      'page',
    ],
    [
      'a discarded record beyond the page',
      good()
        .word(29 + 64)
        .word(70_000)
        .build(),
      'page',
    ],
    ['a time extend cut off', good().word(30).build(), 'page'],
    ['an absolute time cut off', good().word(31).build(), 'page'],
    ['data that ends inside of a word', good().build({ commit: 18 }), 'page'],
  ] as const) {
    it(`give what was good before: ${what}`, () => {
      assert.deepEqual(decode(page), [at(1000), `malformed ${kind}`]);
    });
  }

  it('give nothing where the header is wrong', () => {
    assert.deepEqual(decode(good().build({ commit: 5000 })), ['malformed page']);
    assert.deepEqual(decode(good().build().subarray(0, 15)), ['malformed truncated']);
  });

  it('give their whole records where the file ends early', () => {
    const page = good().event(1, tick()).build();
    assert.deepEqual(decode(page.subarray(0, 16 + 16 + 10)), [at(1000), 'malformed truncated']);
    assert.deepEqual(decode(page.subarray(0, 16 + 16)), [at(1000), 'malformed truncated']);
    assert.deepEqual(decode(page.subarray(0, 16)), ['malformed truncated']);
  });

  it('lose a record of an unknown event only', () => {
    const page = good()
      .event(1, payload(TICK + 1, TID, []))
      .event(1, tick())
      .build();
    assert.deepEqual(decode(page), [at(1000), 'malformed unknown-event', at(1002)]);
  });

  it('lose a record too short to say whose it is only', () => {
    const page = good().event(1, new Uint8Array(4)).event(1, tick()).build();
    assert.deepEqual(decode(page), [at(1000), 'malformed record', at(1002)]);
  });

  it('do not disturb the next page', () => {
    const { cursor, calls } = cursorFor();
    cursor.load(good().word(0).word(0).build());
    cursor.load(new PageBuilder(2000n).event(0, tick()).build());
    cursor.run(Number.POSITIVE_INFINITY);
    assert.deepEqual(calls, [at(1000), 'malformed page', at(2000)]);
  });
});

describe('PageCursor', () => {
  const page = (): Uint8Array => new PageBuilder(10n).event(0, tick()).event(10, tick()).event(10, tick()).build();

  it('stops at the time asked for, which is included', () => {
    const { cursor, calls } = cursorFor();
    assert.equal(cursor.nextTimeNs, Number.POSITIVE_INFINITY);
    cursor.load(page());
    assert.equal(cursor.nextTimeNs, 10);
    assert.equal(cursor.run(9), 0);
    assert.equal(cursor.run(20), 2);
    assert.equal(cursor.nextTimeNs, 30);
    assert.equal(cursor.run(Number.POSITIVE_INFINITY), 1);
    assert.equal(cursor.run(Number.POSITIVE_INFINITY), 0);
    assert.equal(calls.length, 3);
  });

  it('delivers what is left before it takes another page', () => {
    const { cursor, calls } = cursorFor();
    cursor.load(page());
    cursor.load(new PageBuilder(100n).event(0, tick()).build());
    cursor.run(Number.POSITIVE_INFINITY);
    assert.deepEqual(calls, [at(10), at(20), at(30), at(100)]);
  });

  it('reads pages wherever they stand in memory', () => {
    for (const offset of [1, 4096, 4099]) {
      const { cursor, calls } = cursorFor();
      const memory = new Uint8Array(3 * 4096).fill(0xff);
      memory.set(page(), offset);
      cursor.load(memory.subarray(offset, offset + 4096));
      cursor.run(Number.POSITIVE_INFINITY);
      assert.deepEqual(calls, [at(10), at(20), at(30)]);
    }
  });

  it('orders by a clock that does not count time, but passes no time on', () => {
    const { cursor, calls } = cursorFor({}, false);
    cursor.load(page());
    assert.equal(cursor.run(20), 2);
    assert.equal(cursor.nextTimeNs, 30);
    assert.deepEqual(calls, [at(Number.NaN), at(Number.NaN)]);
  });

  it('merges CPUs by time', () => {
    const read = readEventFormats(headerPageText(), [formatText('tick', TICK, [])]);
    assert.ok('formats' in read);
    const vocabulary = newVocabulary();
    const sink = new CallSink(vocabulary);
    const decoder = new RecordDecoder({ formats: read.formats, vocabulary, sink });
    const [left, right] = [new PageCursor(decoder, 0), new PageCursor(decoder, 1)];
    left.load(new PageBuilder(1n).event(0, tick()).event(4, tick()).event(1, tick()).build());
    right.load(new PageBuilder(3n).event(0, tick()).event(4, tick()).build());
    while (Math.min(left.nextTimeNs, right.nextTimeNs) < Number.POSITIVE_INFINITY) {
      if (left.nextTimeNs <= right.nextTimeNs) left.run(right.nextTimeNs);
      else right.run(left.nextTimeNs);
    }
    const order = sink.calls.map((call) => call.split(' ').slice(1, 3).join('@'));
    assert.deepEqual(order, ['1@0', '3@1', '5@0', '6@0', '7@1']);
  });
});
