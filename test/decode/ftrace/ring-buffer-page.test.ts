import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PageBuilder, type PageShape, payload } from '../../support/trace/page-builder.js';
import { at, CPU, cursorFor, decodePage, TICK, TID, tick } from '../../support/trace/tick-pages.js';

describe('records of a page', () => {
  it('have the time of the page and the deltas so far', () => {
    const page = new PageBuilder(1000n).event(0, tick()).event(5, tick()).event(20, tick()).build();
    assert.deepEqual(decodePage(page), [at(1000), at(1005), at(1025)]);
  });

  it('can have their length in a word of its own', () => {
    const page = new PageBuilder(1000n)
      .longEvent(1, payload(TICK, TID, [], { size: 200 }))
      .event(1, tick())
      .build();
    assert.deepEqual(decodePage(page), [at(1001), at(1002)]);
  });

  it('have a delta of 27 bits', () => {
    const page = new PageBuilder(0n).event(0x7ffffff, tick()).build();
    assert.deepEqual(decodePage(page), [at(0x7ffffff)]);
  });

  it('have a time extend added to their time', () => {
    const page = new PageBuilder(1000n).event(0, tick()).timeExtend(5_000_000_000n).event(1, tick()).build();
    assert.deepEqual(decodePage(page), [at(1000), at(5_000_001_001)]);
  });

  it('continue from an absolute time', () => {
    const page = new PageBuilder(1000n).timeStamp(9_000_000_000n).event(3, tick()).event(4, tick()).build();
    assert.deepEqual(decodePage(page), [at(9_000_000_003), at(9_000_000_007)]);
  });

  it('are not reported if discarded, but their delta counts', () => {
    const page = new PageBuilder(1000n).event(0, tick()).discarded(50, 24).event(5, tick()).build();
    assert.deepEqual(decodePage(page), [at(1000), at(1055)]);
  });

  it('do not count a delta of 1, which marks a discarded record without a delta', () => {
    const page = new PageBuilder(1000n).event(0, tick()).discarded(1, 8).event(5, tick()).build();
    assert.deepEqual(decodePage(page), [at(1000), at(1005)]);
  });

  it('end at padding without a delta', () => {
    const page = new PageBuilder(1000n).event(0, tick()).end().event(5, tick()).build();
    assert.deepEqual(decodePage(page), [at(1000)]);
  });

  it('end where a page that is still being written ends', () => {
    const page = new PageBuilder(1000n).event(0, tick()).event(5, tick()).build({ commit: 16 });
    assert.deepEqual(decodePage(page), [at(1000)]);
  });

  it('can be absent', () => {
    assert.deepEqual(decodePage(new PageBuilder(1000n).build()), []);
    assert.deepEqual(decodePage(new PageBuilder(1000n).discarded(1, 8).timeExtend(5n).build()), []);
    assert.deepEqual(decodePage(new Uint8Array(0)), []);
  });
});

describe('times beyond 59 bits', () => {
  const top = 3n << 59n;

  it('get the top bits that an absolute time stamp lacks', () => {
    const [call] = decodePage(
      new PageBuilder(top + 1000n)
        .timeStamp(top + 5_000_000n)
        .event(0, tick())
        .build(),
    );
    assert.equal(call, at(Number(top + 5_000_000n)));
  });

  it('continue if the absolute time stamp wrapped', () => {
    const late = top + (1n << 59n) - 1000n;
    const [call] = decodePage(
      new PageBuilder(late)
        .timeStamp(top + (1n << 59n) + 4096n)
        .event(0, tick())
        .build(),
    );
    assert.equal(call, at(Number(top + (1n << 59n) + 4096n)));
  });

  it('do not jump ahead by 2^59 ns if rounding makes a time stamp look older', () => {
    // In doubles, 129 becomes 256, and 256 + 129 becomes 512, which is later than 300, which becomes 256.
    const page = new PageBuilder(top + 129n)
      .event(129, tick())
      .timeStamp(top + 300n)
      .event(0, tick())
      .build();
    for (const call of decodePage(page)) assert.ok(Number(call.split(' ')[1]) - Number(top) < 2000, call);
  });

  it('do not lose small deltas', () => {
    const builder = new PageBuilder(top);
    for (let i = 0; i < 100; i++) builder.event(100, tick());
    const last = decodePage(builder.build()).at(-1) ?? '';
    assert.ok(Math.abs(Number(last.split(' ')[1]) - Number(top + 10_000n)) <= 512, last);
  });
});

describe('lost events', () => {
  const oneEvent = (): PageBuilder => new PageBuilder(1000n).event(0, tick());

  for (const [what, page, call] of [
    ['counted', oneEvent().build({ missed: 22097 }), `lost ${CPU} 22097`],
    ['not counted', oneEvent().build({ missed: 'unknown' }), `lost ${CPU} -1`],
    [
      'not counted, but with bytes behind the data',
      oneEvent().word(5).build({ missed: 'unknown', commit: 16 }),
      `lost ${CPU} -1`,
    ],
    ['a count of 0', oneEvent().build({ missed: 0 }), `lost ${CPU} -1`],
  ] as const) {
    it(`are reported before the events of the page: ${what}`, () => {
      assert.deepEqual(decodePage(page), [call, at(1000)]);
    });
  }

  it('are cut and called malformed if no kernel can have lost as many', () => {
    const calls = decodePage(oneEvent().build({ missed: 2 ** 60 }));
    assert.deepEqual(calls, [`lost ${CPU} ${2 ** 48}`, 'malformed page', at(1000)]);
  });

  it('are of unknown number if the count is behind the end of the input', () => {
    const page = oneEvent().build({ missed: 5 });
    assert.deepEqual(decodePage(page.subarray(0, 16 + 16 + 4)), [`lost ${CPU} -1`, at(1000)]);
  });

  it('are reported with the first event, not when the page is loaded', () => {
    const { cursor, calls } = cursorFor();
    cursor.load(oneEvent().build({ missed: 9 }));
    cursor.run(999);
    assert.deepEqual(calls, []);
    cursor.run(1000);
    assert.deepEqual(calls, [`lost ${CPU} 9`, at(1000)]);
  });

  it('are reported for a page without events', () => {
    assert.deepEqual(decodePage(new PageBuilder(1n).build({ missed: 9 })), [`lost ${CPU} 9`]);
  });

  it('are reported once', () => {
    const { cursor, calls } = cursorFor();
    cursor.load(oneEvent().build({ missed: 9 }));
    cursor.load(oneEvent().build());
    cursor.run(Number.POSITIVE_INFINITY);
    assert.deepEqual(calls, [`lost ${CPU} 9`, at(1000), at(1000)]);
  });
});

describe('pages of other kernels', () => {
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
      assert.deepEqual(decodePage(page, shape), [
        `lost ${CPU} 77`,
        at(0x1_0000_0001n),
        at(0x1_0000_0001n + (1n << 40n) + 7n),
        at((1n << 41n) + 6n),
      ]);
    });
  }

  it('are read even if larger than header_page says', () => {
    const page = new PageBuilder(1n, { pageSize: 16384 }).longEvent(0, payload(TICK, TID, [], { size: 8000 })).build();
    assert.deepEqual(decodePage(page), [at(1)]);
  });
});

describe('pages that contradict themselves', () => {
  const good = (): PageBuilder => new PageBuilder(1000n).event(0, tick());

  for (const [what, page, kind] of [
    ['a record longer than the page', good().word(28).build(), 'page'],
    ['a length word beyond the page', good().word(0).word(50_000).build(), 'page'],
    ['a length word of 4 GiB', good().word(0).word(0xffffffff).build(), 'page'],
    ['a length of 0', good().word(0).word(0).event(0, tick()).build(), 'page'],
    ['a length word smaller than itself', good().word(0).word(3).event(0, tick()).build(), 'page'],
    [
      'a discarded record of length 0',
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
    ['a time extend that is cut', good().word(30).build(), 'page'],
    ['an absolute time that is cut', good().word(31).build(), 'page'],
    ['data that ends inside a word', good().build({ commit: 18 }), 'page'],
  ] as const) {
    it(`deliver the records before the fault: ${what}`, () => {
      assert.deepEqual(decodePage(page), [at(1000), `malformed ${kind}`]);
    });
  }

  it('deliver nothing if the header is wrong', () => {
    assert.deepEqual(decodePage(good().build({ commit: 5000 })), ['malformed page']);
    assert.deepEqual(decodePage(good().build().subarray(0, 15)), ['malformed truncated']);
  });

  it('deliver their complete records if the file ends early', () => {
    const page = good().event(1, tick()).build();
    assert.deepEqual(decodePage(page.subarray(0, 16 + 16 + 10)), [at(1000), 'malformed truncated']);
    assert.deepEqual(decodePage(page.subarray(0, 16 + 16)), [at(1000), 'malformed truncated']);
    assert.deepEqual(decodePage(page.subarray(0, 16)), ['malformed truncated']);
  });

  it('lose nothing but a record of an unknown event', () => {
    const page = good()
      .event(1, payload(TICK + 1, TID, []))
      .event(1, tick())
      .build();
    assert.deepEqual(decodePage(page), [at(1000), 'malformed unknown-event', at(1002)]);
  });

  it('lose nothing but a record that is too short to name its event', () => {
    const page = good().event(1, new Uint8Array(4)).event(1, tick()).build();
    assert.deepEqual(decodePage(page), [at(1000), 'malformed record', at(1002)]);
  });

  it('do not disturb the next page', () => {
    const { cursor, calls } = cursorFor();
    cursor.load(good().word(0).word(0).build());
    cursor.load(new PageBuilder(2000n).event(0, tick()).build());
    cursor.run(Number.POSITIVE_INFINITY);
    assert.deepEqual(calls, [at(1000), 'malformed page', at(2000)]);
  });
});
