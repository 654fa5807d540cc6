/**
 * The bytes of one block, and reads of its bits.
 *
 * Zstandard reads most of its bits backwards: a bit stream begins at its last byte, whose highest set bit marks the
 * start, and ends at its first. A position is the number of bits before it in {@link BlockBits.bytes}. The bits of a
 * value are stored upwards, so a backward read moves the position down first and takes the bits above it.
 */
import { ensure } from './damage.js';

/** Largest content of a block, packed or unpacked (RFC 8878, 3.1.1.2.4). */
export const MAX_BLOCK = 1 << 17;

/**
 * Bytes around a block, so that a read that runs over one of its ends stays inside of the array. One sequence moves the
 * position by at most 12 bytes before its overrun is noticed.
 */
export const MARGIN = 32;

export class BlockBits {
  /** The block begins at {@link MARGIN}. */
  readonly bytes = new Uint8Array(MARGIN + MAX_BLOCK + MARGIN);
  readonly view = new DataView(this.bytes.buffer);

  /** At most 25 bits upwards from `position`. */
  read(position: number, bits: number): number {
    return (this.view.getUint32(position >> 3, true) >>> (position & 7)) & ((1 << bits) - 1);
  }

  /** The position at which the backward bit stream in `[start, end)` begins. */
  backwardStart(start: number, end: number): number {
    const last = end > start ? (this.bytes[end - 1] as number) : 0;
    ensure(last > 0, 'a bit stream without a start');
    return end * 8 - Math.clz32(last) + 23;
  }
}
