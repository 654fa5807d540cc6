/**
 * The Huffman code of literals (RFC 8878, 4.2). A packed code consists of weights: a symbol of weight w has
 * 2^(w-1) entries in the table, and the weight of the last symbol fills the table up to a power of two.
 */
import type { BlockBits } from './block-bits.js';
import { ensure } from './damage.js';
import { FseTable } from './fse-table.js';

/** Longest code. */
const MAX_BITS = 11;
const MAX_WEIGHTS = 255;
const MAX_WEIGHT_LOG = 6;
/** A first byte from here on means weights of four bits each; below, it is the length of weights packed with FSE. */
const DIRECT = 128;

export class HuffmanTable {
  /** Length of the longest code; 0 if no table was read yet. */
  maxBits = 0;
  /** Indexed by the next {@link maxBits} bits: the symbol, and above it the length of its code. */
  readonly entries = new Uint16Array(1 << MAX_BITS);
  readonly #weights = new Uint8Array(MAX_WEIGHTS + 1);
  readonly #weightTable = new FseTable();

  /** Reads the code at byte `at` of the block. Returns the position of the byte behind it. */
  read(block: BlockBits, at: number, end: number): number {
    ensure(at < end, 'a Huffman code that is cut');
    const first = block.bytes[at] as number;
    const packed = first < DIRECT;
    const next = at + 1 + (packed ? first : (first - DIRECT + 2) >> 1);
    ensure(next <= end, 'a Huffman code that is cut');
    const count = packed ? this.#readPacked(block, at + 1, next) : this.#readDirect(block, at + 1, first - DIRECT + 1);
    this.#build(count);
    return next;
  }

  #readDirect(block: BlockBits, at: number, count: number): number {
    for (let symbol = 0; symbol < count; symbol++) {
      const both = block.bytes[at + (symbol >> 1)] as number;
      this.#weights[symbol] = symbol % 2 === 0 ? both >> 4 : both & 15;
    }
    return count;
  }

  /** Two states take turns, until one of them needs bits that are not there. */
  #readPacked(block: BlockBits, at: number, end: number): number {
    const table = this.#weightTable;
    const start = table.readDistribution(block, at, end, MAX_WEIGHT_LOG, MAX_WEIGHTS) * 8;
    let position = block.backwardStart(start >> 3, end) - 2 * table.log;
    ensure(position >= start, 'Huffman weights that are cut');
    let state = block.read(position + table.log, table.log);
    let other = block.read(position, table.log);
    let count = 0;
    for (;;) {
      ensure(count + 2 <= MAX_WEIGHTS, 'too many Huffman weights');
      this.#weights[count++] = table.symbols[state] as number;
      const bits = table.bits[state] as number;
      position -= bits;
      if (position < start) break;
      const next = (table.bases[state] as number) + block.read(position, bits);
      state = other;
      other = next;
    }
    this.#weights[count++] = table.symbols[other] as number;
    return count;
  }

  #build(count: number): void {
    const weights = this.#weights;
    let sum = 0;
    for (let symbol = 0; symbol < count; symbol++) sum += (1 << (weights[symbol] as number)) >> 1;
    const maxBits = 32 - Math.clz32(sum);
    ensure(sum > 0 && maxBits <= MAX_BITS, 'a Huffman code that is too long');
    const missing = (1 << maxBits) - sum;
    ensure((missing & (missing - 1)) === 0, 'an incomplete Huffman code');
    weights[count] = 32 - Math.clz32(missing);
    this.maxBits = maxBits;
    // The longest codes come first, and codes of one length in the order of their symbols.
    let next = 0;
    for (let weight = 1; weight <= maxBits; weight++)
      for (let symbol = 0; symbol <= count; symbol++)
        if (weights[symbol] === weight) {
          const end = next + (1 << (weight - 1));
          this.entries.fill(symbol | ((maxBits + 1 - weight) << 8), next, end);
          next = end;
        }
  }
}
