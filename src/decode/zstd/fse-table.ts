/**
 * Finite state entropy tables (RFC 8878, 4.1): how the codes of sequences and the weights of Huffman codes are packed.
 *
 * An entry of a table holds a symbol, and how to find the next state: read `bits` bits and add them to `base`.
 */
import type { BlockBits } from './block-bits.js';
import { ensure } from './damage.js';

/** A distribution has at least 2^5 states. */
const MIN_LOG = 5;
/** The largest table, that of literal and match lengths, has 2^9 states. */
export const MAX_LOG = 9;
const MAX_SYMBOLS = 256;
/** A symbol rarer than one state: it has one state, at the end of the table, that reads all bits of the next one. */
const LESS_THAN_ONE = -1;

const counts = new Int16Array(MAX_SYMBOLS);
const nextStates = new Uint16Array(MAX_SYMBOLS);

export class FseTable {
  /** The number of bits of a state. */
  log = 0;
  /** Indexed by state, as the next two are. */
  readonly symbols = new Uint8Array(1 << MAX_LOG);
  readonly bits = new Uint8Array(1 << MAX_LOG);
  readonly bases = new Uint16Array(1 << MAX_LOG);

  /** All states mean `symbol` and read no bits. */
  setSingle(symbol: number): void {
    this.log = 0;
    this.symbols[0] = symbol;
    this.bits[0] = 0;
    this.bases[0] = 0;
  }

  setDistribution(log: number, distribution: readonly number[]): this {
    counts.set(distribution);
    this.#build(log, distribution.length);
    return this;
  }

  /**
   * Reads the distribution at byte `at` of the block, which ends at `end`. Returns the position of the byte behind it.
   * @param symbolLimit the number of symbols that exist
   */
  readDistribution(block: BlockBits, at: number, end: number, maxLog: number, symbolLimit: number): number {
    ensure(at < end, 'a distribution that is cut');
    const log = ((block.bytes[at] as number) & 15) + MIN_LOG;
    ensure(log <= maxLog, 'a distribution with too many states');
    let position = at * 8 + 4;
    let missing = 1 << log;
    let symbol = 0;
    while (missing > 0) {
      ensure(symbol < symbolLimit && position <= end * 8, 'a distribution of unknown symbols');
      // A number up to `missing + 1`. Its lower values have one bit less.
      const bits = 32 - Math.clz32(missing + 1);
      const short = (1 << (bits - 1)) - 1;
      const spare = (1 << bits) - 2 - missing;
      let value = block.read(position, bits);
      if ((value & short) < spare) {
        value &= short;
        position += bits - 1;
      } else {
        if (value > short) value -= spare;
        position += bits;
      }
      const count = value - 1;
      missing -= Math.abs(count);
      counts[symbol++] = count;
      if (count !== 0) continue;
      // Two bits at a time: how many further symbols do not occur.
      for (let more = 3; more === 3; ) {
        more = block.read(position, 2);
        position += 2;
        ensure(symbol + more <= symbolLimit && position <= end * 8, 'a distribution of unknown symbols');
        counts.fill(0, symbol, symbol + more);
        symbol += more;
      }
    }
    const next = (position + 7) >> 3;
    ensure(next <= end, 'a distribution that is cut');
    this.#build(log, symbol);
    return next;
  }

  #build(log: number, symbolCount: number): void {
    const { symbols, bits, bases } = this;
    const size = 1 << log;
    this.log = log;
    let free = size;
    for (let symbol = 0; symbol < symbolCount; symbol++) {
      const count = counts[symbol] as number;
      nextStates[symbol] = Math.abs(count);
      if (count === LESS_THAN_ONE) symbols[--free] = symbol;
    }
    const step = (size >> 1) + (size >> 3) + 3;
    let state = 0;
    for (let symbol = 0; symbol < symbolCount; symbol++)
      for (let left = counts[symbol] as number; left > 0; left--) {
        symbols[state] = symbol;
        do state = (state + step) & (size - 1);
        while (state >= free);
      }
    for (state = 0; state < size; state++) {
      const symbol = symbols[state] as number;
      const next = nextStates[symbol] as number;
      nextStates[symbol] = next + 1;
      const read = log - (31 - Math.clz32(next));
      bits[state] = read;
      bases[state] = (next << read) - size;
    }
  }
}
