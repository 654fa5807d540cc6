/** The literals of a block (RFC 8878, 3.1.1.3.1): the bytes that are not copied from earlier content. */
import { type BlockBits, MAX_BLOCK } from './block-bits.js';
import { ensure } from './damage.js';
import { HuffmanTable } from './huffman-table.js';

const RAW = 0;
const REPEATED_BYTE = 1;
/** Packed with the Huffman code of the block before. */
const TREELESS = 3;
/** Four streams begin with the lengths of three of them. */
const JUMP_TABLE = 6;

export class Literals {
  readonly bytes = new Uint8Array(MAX_BLOCK);
  /** The number of literals in {@link bytes}. */
  length = 0;
  readonly #code = new HuffmanTable();

  /** A frame begins: there is no block before. */
  reset(): void {
    this.#code.maxBits = 0;
  }

  /**
   * Reads the literals at byte `at` of the block, which ends at `end`. Returns the position of the byte behind them.
   */
  read(block: BlockBits, at: number, end: number): number {
    ensure(at < end, 'no literals');
    const first = block.bytes[at] as number;
    const type = first & 3;
    const size = (first >> 2) & 3;
    return type <= REPEATED_BYTE
      ? this.#readPlain(block, at, end, type, size)
      : this.#readPacked(block, at, end, type, size);
  }

  #readPlain(block: BlockBits, at: number, end: number, type: number, size: number): number {
    const headerBytes = size === 1 ? 2 : size === 3 ? 3 : 1;
    const bits = headerBytes === 1 ? 5 : headerBytes * 8 - 4;
    this.#setLength(block.read(at * 8 + (headerBytes === 1 ? 3 : 4), bits));
    const start = at + headerBytes;
    const next = start + (type === RAW ? this.length : 1);
    ensure(next <= end, 'literals that are cut');
    if (type === RAW) this.bytes.set(block.bytes.subarray(start, next));
    else this.bytes.fill(block.bytes[start] as number, 0, this.length);
    return next;
  }

  #readPacked(block: BlockBits, at: number, end: number, type: number, size: number): number {
    const bits = size < 2 ? 10 : 6 + 4 * size;
    this.#setLength(block.read(at * 8 + 4, bits));
    let start = at + (4 + 2 * bits) / 8;
    const next = start + block.read(at * 8 + 4 + bits, bits);
    ensure(next <= end, 'literals that are cut');
    if (type !== TREELESS) start = this.#code.read(block, start, next);
    ensure(this.#code.maxBits > 0, 'literals without a Huffman code');
    if (size === 0) this.#readStream(block, start, next, 0, this.length);
    else this.#readFour(block, start, next);
    return next;
  }

  #readFour(block: BlockBits, at: number, end: number): void {
    const { view } = block;
    const start = at + JUMP_TABLE;
    const part = (this.length + 3) >> 2;
    ensure(start <= end && part * 3 <= this.length, 'literals that are cut');
    const second = start + view.getUint16(at, true);
    const third = second + view.getUint16(at + 2, true);
    const fourth = third + view.getUint16(at + 4, true);
    ensure(fourth <= end, 'literals that are cut');
    this.#readStream(block, start, second, 0, part);
    this.#readStream(block, second, third, part, 2 * part);
    this.#readStream(block, third, fourth, 2 * part, 3 * part);
    this.#readStream(block, fourth, end, 3 * part, this.length);
  }

  /** Unpacks `[start, end)` of the block to the literals `[to, toEnd)`. The stream has to be used up exactly. */
  #readStream(block: BlockBits, start: number, end: number, to: number, toEnd: number): void {
    const { view } = block;
    const { bytes } = this;
    const { entries, maxBits } = this.#code;
    const mask = (1 << maxBits) - 1;
    const stop = start * 8;
    let position = block.backwardStart(start, end);
    let at = to;
    // Two literals take at most 22 bits, which one read provides.
    for (; at + 1 < toEnd && position >= stop; at += 2) {
      const from = position - 2 * maxBits;
      const bits = view.getUint32(from >> 3, true) >>> (from & 7);
      const entry = entries[(bits >>> maxBits) & mask] as number;
      const length = entry >> 8;
      const entry2 = entries[(bits >>> (maxBits - length)) & mask] as number;
      bytes[at] = entry;
      bytes[at + 1] = entry2;
      position -= length + (entry2 >> 8);
    }
    if (at < toEnd) {
      const entry = entries[block.read(position - maxBits, maxBits)] as number;
      bytes[at] = entry;
      position -= entry >> 8;
    }
    ensure(position === stop, 'literals of another length than said');
  }

  #setLength(length: number): void {
    ensure(length <= MAX_BLOCK, 'too many literals');
    this.length = length;
  }
}
