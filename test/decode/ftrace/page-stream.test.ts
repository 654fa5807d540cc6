import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PageStream } from '../../../src/decode/ftrace/page-stream.js';

/** Pages filled with their number, counted from 1, and 17 bytes of one more page. */
function recording(pages: number, pageSize: number): Uint8Array {
  const bytes = new Uint8Array(pages * pageSize + 17);
  for (let page = 0; page <= pages; page++) bytes.fill(page + 1, page * pageSize, (page + 1) * pageSize);
  return bytes;
}

describe('PageStream', () => {
  for (const pageSize of [4096, 8192, 65536]) {
    for (const chunkSize of [1000, 4096, 5000, 70_000, 1 << 20]) {
      it(`cuts pages of ${pageSize} from chunks of ${chunkSize}`, () => {
        const bytes = recording(5, pageSize);
        const stream = new PageStream(pageSize);
        const seen: string[] = [];
        const take = (): void => {
          for (let page = stream.next(); page !== undefined; page = stream.next()) {
            seen.push(`${page.length} of ${page[0]} to ${page.at(-1)}`);
          }
        };
        for (let at = 0; at < bytes.length; at += chunkSize) {
          stream.push(bytes.subarray(at, at + chunkSize));
          take();
        }
        const rest = stream.end();
        seen.push(`rest ${rest?.length} of ${rest?.[0]}`);
        const whole = [1, 2, 3, 4, 5].map((page) => `${pageSize} of ${page} to ${page}`);
        assert.deepEqual(seen, [...whole, 'rest 17 of 6']);
      });
    }
  }

  it('keeps a chunk that is pushed before the last one is used up', () => {
    const bytes = recording(3, 4096);
    const stream = new PageStream();
    stream.push(bytes.subarray(0, 5000));
    stream.push(bytes.subarray(5000));
    assert.deepEqual([stream.next()?.[0], stream.next()?.[0], stream.next()?.[0], stream.next()], [1, 2, 3, undefined]);
  });

  it('has no rest after a whole number of pages', () => {
    const stream = new PageStream();
    stream.push(new Uint8Array(8192));
    while (stream.next() !== undefined);
    assert.equal(stream.end(), undefined);
    assert.equal(stream.next(), undefined);
  });

  it('replaces an impossible page size by 4096', () => {
    for (const size of [0, -1, 1.5, Number.NaN]) assert.equal(new PageStream(size).pageSize, 4096);
  });
});
