import type { ByteSource } from './byte-source.js';

/** Thrown where a file contradicts itself or ends early. The functions that this folder exports catch it. */
export class TraceDatDamage extends Error {}

/** Bytes read at one time. */
const WINDOW = 1 << 16;
const MAX_STRING = 4096;
const TWO_32 = 2 ** 32;

const utf8 = new TextDecoder();

/** Reads numbers and texts one after the other. Throws {@link TraceDatDamage} at the end of the bytes. */
export class FieldReader {
  /** Position of the next byte. */
  at: number;
  readonly end: number;
  readonly #source: ByteSource;
  readonly #littleEndian: boolean;
  /** Bytes of the source from {@link #windowStart} on. A copy, because the source may reuse its memory. */
  #window = new Uint8Array(0);
  #view = new DataView(new ArrayBuffer(0));
  #windowStart = 0;

  constructor(source: ByteSource, bigEndian: boolean, at = 0, end = source.size) {
    this.#source = source;
    this.#littleEndian = !bigEndian;
    this.at = at;
    this.end = Math.min(end, source.size);
  }

  get left(): number {
    return this.end - this.at;
  }

  u8(): number {
    const at = this.#take(1);
    return this.#view.getUint8(at);
  }

  u16(): number {
    const at = this.#take(2);
    return this.#view.getUint16(at, this.#littleEndian);
  }

  u32(): number {
    const at = this.#take(4);
    return this.#view.getUint32(at, this.#littleEndian);
  }

  /** Exact up to 2^53. Larger numbers are no sizes or places in a file, and fail where they are used as such. */
  u64(): number {
    const at = this.#take(8);
    const [low, high] = this.#littleEndian ? [at, at + 4] : [at + 4, at];
    return this.#view.getUint32(low, this.#littleEndian) + this.#view.getUint32(high, this.#littleEndian) * TWO_32;
  }

  /** A text that ends with NUL, at most 4096 bytes long. */
  string(): string {
    this.#fill(Math.min(MAX_STRING, this.left));
    const start = this.at - this.#windowStart;
    const length = this.#window.subarray(start, start + MAX_STRING).indexOf(0);
    if (length < 0) throw new TraceDatDamage('a name without an end');
    this.at += length + 1;
    return utf8.decode(this.#window.subarray(start, start + length));
  }

  text(length: number): string {
    return utf8.decode(this.bytes(length));
  }

  /** A copy of the next bytes. */
  bytes(length: number): Uint8Array {
    this.#check(length);
    const bytes = Uint8Array.from(this.#source.read(this.at, length));
    if (bytes.length < length) throw new TraceDatDamage('the file became shorter');
    this.at += length;
    return bytes;
  }

  skip(length: number): void {
    this.#check(length);
    this.at += length;
  }

  /** Position in the window of the next `length` bytes. */
  #take(length: number): number {
    this.#check(length);
    this.#fill(length);
    const start = this.at - this.#windowStart;
    this.at += length;
    return start;
  }

  #check(length: number): void {
    if (!(length <= this.left)) throw new TraceDatDamage('it ends early');
  }

  #fill(length: number): void {
    const start = this.at - this.#windowStart;
    if (start >= 0 && start + length <= this.#window.length) return;
    this.#window = Uint8Array.from(this.#source.read(this.at, Math.min(WINDOW, this.left)));
    this.#view = new DataView(this.#window.buffer);
    this.#windowStart = this.at;
    if (this.#window.length < length) throw new TraceDatDamage('the file became shorter');
  }
}
