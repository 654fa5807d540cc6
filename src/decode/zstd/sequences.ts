/**
 * The sequences of a block (RFC 8878, 3.1.1.3.2): each adds some literals, and then repeats some earlier content.
 *
 * A sequence consists of three codes, for the number of literals, the length of the match and its distance. Each code
 * has a table of its own, and stands for a first value to which further bits are added.
 */
import { type BlockBits, MAX_BLOCK } from './block-bits.js';
import { ensure } from './damage.js';
import { FseTable, MAX_LOG } from './fse-table.js';
import type { History } from './history.js';
import type { Literals } from './literals.js';

// How the table of a code is given.
const PREDEFINED = 0;
const SINGLE = 1;
const DISTRIBUTION = 2;

/** Codes of distances. The window allows those up to 27 only; the distance of the last one is negative here. */
const OFFSET_CODES = 32;
const MAX_OFFSET_LOG = 8;

/** The number of bits that follow each code. */
const LITERAL_BITS = [...zeros(16), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_BITS = [...zeros(32), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MIN_MATCH = 3;

// biome-ignore format: tables
const PREDEFINED_DISTRIBUTIONS = {
  literals: [
    4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
  ],
  matches: [
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
  ],
  offsets: [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
};

function zeros(count: number): number[] {
  return Array.from({ length: count }, () => 0);
}

/** The first value of each code. */
function firstValues(bits: readonly number[], first: number): Uint32Array {
  let value = first;
  return Uint32Array.from(bits, (more) => {
    const own = value;
    value += 2 ** more;
    return own;
  });
}

/** One of the three codes: its table, and how it can be replaced. */
class Code {
  /** Undefined at the start of a frame. */
  table: FseTable | undefined;
  readonly #own = new FseTable();
  readonly #predefined: FseTable;
  readonly #maxLog: number;
  readonly #symbols: number;

  constructor(predefined: FseTable, maxLog: number, symbols: number) {
    this.#predefined = predefined;
    this.#maxLog = maxLog;
    this.#symbols = symbols;
  }

  /** Returns the position of the byte behind the table. */
  read(mode: number, block: BlockBits, at: number, end: number): number {
    if (mode === PREDEFINED) this.table = this.#predefined;
    if (mode !== SINGLE && mode !== DISTRIBUTION) {
      ensure(this.table !== undefined, 'sequences without a table');
      return at;
    }
    this.table = this.#own;
    if (mode === DISTRIBUTION) return this.#own.readDistribution(block, at, end, this.#maxLog, this.#symbols);
    const symbol = block.bytes[at] as number;
    ensure(at < end && symbol < this.#symbols, 'a sequence of an unknown code');
    this.#own.setSingle(symbol);
    return at + 1;
  }
}

const predefined = {
  literals: new FseTable().setDistribution(6, PREDEFINED_DISTRIBUTIONS.literals),
  matches: new FseTable().setDistribution(6, PREDEFINED_DISTRIBUTIONS.matches),
  offsets: new FseTable().setDistribution(5, PREDEFINED_DISTRIBUTIONS.offsets),
};
const literalBits = Uint8Array.from(LITERAL_BITS);
const matchBits = Uint8Array.from(MATCH_BITS);
const literalValues = firstValues(LITERAL_BITS, 0);
const matchValues = firstValues(MATCH_BITS, MIN_MATCH);

export class Sequences {
  readonly #literalCode = new Code(predefined.literals, MAX_LOG, LITERAL_BITS.length);
  readonly #matchCode = new Code(predefined.matches, MAX_LOG, MATCH_BITS.length);
  readonly #offsetCode = new Code(predefined.offsets, MAX_OFFSET_LOG, OFFSET_CODES);
  /** The latest three distances. */
  #recent1 = 1;
  #recent2 = 4;
  #recent3 = 8;

  /** A frame begins. */
  reset(): void {
    for (const code of [this.#literalCode, this.#matchCode, this.#offsetCode]) code.table = undefined;
    this.#recent1 = 1;
    this.#recent2 = 4;
    this.#recent3 = 8;
  }

  /** Adds the content of the block with the sequences at `[at, end)` to `history`. */
  run(block: BlockBits, at: number, end: number, literals: Literals, history: History): void {
    ensure(at < end, 'no sequences');
    const first = block.bytes[at] as number;
    const headerBytes = first < 128 ? 1 : first < 255 ? 2 : 3;
    const [second = 0, third = 0] = block.bytes.subarray(at + 1, at + 3);
    const count = [first, ((first - 128) << 8) + second, second + (third << 8) + 0x7f00][headerBytes - 1] as number;
    if (count === 0) {
      ensure(at + headerBytes === end, 'bytes behind the sequences');
      history.addLiterals(literals.bytes, 0, literals.length);
      return;
    }
    let next = at + headerBytes + 1;
    ensure(next <= end, 'sequences that are cut');
    const modes = block.bytes[next - 1] as number;
    ensure((modes & 3) === 0, 'sequences of an unknown kind');
    next = this.#literalCode.read(modes >> 6, block, next, end);
    next = this.#offsetCode.read((modes >> 4) & 3, block, next, end);
    next = this.#matchCode.read((modes >> 2) & 3, block, next, end);
    this.#runAll(count, block, next, end, literals, history);
  }

  #runAll(count: number, block: BlockBits, start: number, end: number, literals: Literals, history: History): void {
    const [literalTable, offsetTable, matchTable] = [
      this.#literalCode.table,
      this.#offsetCode.table,
      this.#matchCode.table,
    ];
    if (literalTable === undefined || offsetTable === undefined || matchTable === undefined) return;
    const stop = start * 8;
    let position = block.backwardStart(start, end) - literalTable.log;
    let literalState = block.read(position, literalTable.log);
    position -= offsetTable.log;
    let offsetState = block.read(position, offsetTable.log);
    position -= matchTable.log;
    let matchState = block.read(position, matchTable.log);
    ensure(position >= stop, 'sequences that are cut');
    let usedLiterals = 0;
    let room = MAX_BLOCK;
    for (let left = count; left > 0; left--) {
      const offsetCode = offsetTable.symbols[offsetState] as number;
      const matchCode = matchTable.symbols[matchState] as number;
      const literalCode = literalTable.symbols[literalState] as number;
      // More bits than one read provides.
      const high = offsetCode > 16 ? offsetCode - 16 : 0;
      position -= high;
      let offset = (1 << offsetCode) + (block.read(position, high) << 16);
      position -= offsetCode - high;
      offset += block.read(position, offsetCode - high);
      const moreMatch = matchBits[matchCode] as number;
      position -= moreMatch;
      const match = (matchValues[matchCode] as number) + block.read(position, moreMatch);
      const moreLiterals = literalBits[literalCode] as number;
      position -= moreLiterals;
      const added = (literalValues[literalCode] as number) + block.read(position, moreLiterals);
      if (left > 1) {
        const literalStateBits = literalTable.bits[literalState] as number;
        position -= literalStateBits;
        literalState = (literalTable.bases[literalState] as number) + block.read(position, literalStateBits);
        const matchStateBits = matchTable.bits[matchState] as number;
        position -= matchStateBits;
        matchState = (matchTable.bases[matchState] as number) + block.read(position, matchStateBits);
        const offsetStateBits = offsetTable.bits[offsetState] as number;
        position -= offsetStateBits;
        offsetState = (offsetTable.bases[offsetState] as number) + block.read(position, offsetStateBits);
      }
      room -= added + match;
      if (position < stop || room < 0 || usedLiterals + added > literals.length) break;
      history.addLiterals(literals.bytes, usedLiterals, usedLiterals + added);
      usedLiterals += added;
      history.addMatch(this.#distance(offset, added), match);
    }
    ensure(position === stop && room >= literals.length - usedLiterals, 'sequences of another length than said');
    history.addLiterals(literals.bytes, usedLiterals, literals.length);
  }

  /** The first three offsets mean recent distances, or without literals the second, the third, and the first less 1. */
  #distance(offset: number, literals: number): number {
    const recent = literals === 0 ? offset + 1 : offset;
    if (offset > 3) {
      this.#recent3 = this.#recent2;
      this.#recent2 = this.#recent1;
      this.#recent1 = offset - 3;
    } else if (recent > 1) {
      const distance = recent === 2 ? this.#recent2 : recent === 3 ? this.#recent3 : this.#recent1 - 1;
      if (recent > 2) this.#recent3 = this.#recent2;
      this.#recent2 = this.#recent1;
      this.#recent1 = distance;
    }
    return this.#recent1;
  }
}
