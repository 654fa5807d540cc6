/** The decoder against files that the program zstd packed, and against data that no encoder writes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ZstdDecoder } from '../../../src/decode/zstd/zstd-decoder.js';
import { ZstdUnpacker } from '../../../src/decode/zstd/zstd-unpacker.js';
import { fixture, readFixture } from '../../support/fixtures.js';
import { needs } from '../../support/requirements.js';

/** The content of the files, before zstd packed it. */
const TEXT = readFixture('text-variants/trace.clk-mono.txt');
const CONTENTS: readonly [start: string, content: Buffer][] = [
  ['text', TEXT],
  ['pages', readFixture('svm/two-vms-6.12/raw/cpu0.raw').subarray(0, 40960)],
  ['zeros', Buffer.alloc(300_000)],
  ['empty', Buffer.alloc(0)],
];
const FILES = readdirSync(fixture('zstd'));

/** A block of a Huffman code whose only weight takes no bits, so that its weights never end. fzstd 0.1.1 hangs. */
const ENDLESS_WEIGHTS = '28b52ffd20647d000012c00204f00355ff01010101010100';

function unpack(chunks: Iterable<Uint8Array>): { content: Buffer; decoder: ZstdDecoder } {
  const pieces: Buffer[] = [];
  const decoder = new ZstdDecoder();
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let piece = decoder.next(); piece !== undefined; piece = decoder.next()) pieces.push(Buffer.from(piece));
  }
  return { content: Buffer.concat(pieces), decoder };
}

function* chunksOf(bytes: Uint8Array, size: number): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** The header of a frame, and blocks behind it. */
function frame(header: readonly number[], ...blocks: readonly number[][]): Uint8Array {
  return Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, ...header, ...blocks.flat()]);
}

/** A last block that repeats a byte. */
function repeatedByte(byte: number, count: number): number[] {
  const header = (count << 3) | (1 << 1) | 1;
  return [header & 0xff, (header >> 8) & 0xff, header >> 16, byte];
}

describe('ZstdDecoder', () => {
  for (const file of FILES) {
    const content = CONTENTS.find(([start]) => file.startsWith(start))?.[1] ?? assert.fail(file);
    for (const size of [1, 7, 1 << 20]) {
      it(`unpacks ${file} in chunks of ${size} bytes`, () => {
        const { content: got, decoder } = unpack(chunksOf(readFixture(`zstd/${file}`), size));
        assert.equal(decoder.problem, undefined);
        assert.ok(decoder.isComplete);
        assert.ok(got.equals(content));
      });
    }
  }

  it('unpacks what every level of zstd writes', needs('zstd'), () => {
    // Hashes of hashes: nothing to find but in the order of bits. The text between them repeats.
    const noise = Array.from({ length: 2000 }, (_, i) => createHash('sha256').update(String(i)).digest());
    const input = Buffer.concat([...noise, TEXT, Buffer.alloc(200_000, 'ab'), ...noise.slice(0, 500), TEXT]);
    for (const args of ['--fast=20', '-1', '-2', '-4', '-6', '-9', '-13', '-16', '-19', '--zstd=wlog=11']) {
      const packed = execFileSync('zstd', ['-c', args], { input, maxBuffer: 1 << 26 });
      const { content, decoder } = unpack(chunksOf(packed, 100_000));
      assert.ok(decoder.isComplete, args);
      assert.ok(content.equals(input), args);
    }
  });

  it('is not complete before the end of a frame, and delivers what came until then', () => {
    const packed = readFixture('zstd/text.window-1-KiB.zst');
    const { content, decoder } = unpack([packed.subarray(0, 2000)]);
    assert.equal(decoder.problem, undefined);
    assert.ok(!decoder.isComplete);
    assert.ok(content.length > 10_000);
    assert.ok(content.equals(TEXT.subarray(0, content.length)));
  });

  it('takes memory for the content, not for the window that a frame claims', () => {
    const before = process.memoryUsage().arrayBuffers;
    const { content, decoder } = unpack([frame([0x00, 0x88], repeatedByte(7, 100_000))]);
    assert.ok(decoder.isComplete);
    assert.ok(content.equals(Buffer.alloc(100_000, 7)));
    assert.ok(process.memoryUsage().arrayBuffers - before < 4 << 20);
  });

  const WRONG: readonly [what: string, bytes: Uint8Array, problem: RegExp][] = [
    ['other data', Buffer.from('no zstd data'), /not a frame/],
    ['bytes behind a frame', Buffer.concat([readFixture('zstd/empty.zst'), Buffer.from('more')]), /not a frame/],
    ['Huffman weights without end', Buffer.from(ENDLESS_WEIGHTS, 'hex'), /Huffman weights/],
    ['a window of 2 GiB', frame([0x00, 0xa8]), /a window of more than 128 MiB/],
    ['a dictionary', frame([0x21, 5, 1]), /a dictionary/],
    ['a block of 256 KiB', frame([0x00, 0x88], repeatedByte(0, 1 << 18)), /a block that cannot be/],
    ['a block larger than its frame', frame([0x20, 5], repeatedByte(0, 6)), /a block that cannot be/],
    ['less content than said', frame([0x20, 5], repeatedByte(0, 4)), /another length/],
    ['a block of an unknown type', frame([0x20, 5], [0x2f, 0, 0, 1, 1, 1, 1, 1]), /a block that cannot be/],
  ];
  for (const [what, bytes, problem] of WRONG)
    it(`refuses ${what}`, () => {
      const { decoder } = unpack([bytes]);
      assert.match(decoder.problem ?? '', problem);
      assert.ok(!decoder.isComplete);
    });

  it('ends at a changed byte, or delivers other content; it never throws or hangs', () => {
    const packed = readFixture('zstd/text.level-1.zst');
    for (let at = 0; at < packed.length; at++)
      for (const change of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(packed);
        damaged[at] = (damaged[at] ?? 0) ^ change;
        assert.ok(unpack([damaged]).content.length <= TEXT.length);
      }
  });
});

describe('ZstdUnpacker', () => {
  const packed = readFixture('zstd/pages.zst');

  it('unpacks pieces one after the other', () => {
    const unpacker = new ZstdUnpacker();
    for (let i = 0; i < 3; i++) assert.equal(unpacker.unpack(packed, 40960)?.length, 40960);
  });

  it('refuses pieces that are cut, damaged, or longer than expected, and goes on with the next', () => {
    const unpacker = new ZstdUnpacker();
    assert.equal(unpacker.unpack(packed.subarray(0, 3000), 40960), undefined);
    assert.equal(unpacker.unpack(packed, 40959), undefined);
    assert.equal(unpacker.unpack(Buffer.from('x'), 100), undefined);
    assert.equal(unpacker.unpack(packed, 50000)?.length, 40960);
  });
});
