import { SPACE } from './bytes.js';

const QUESTION_MARK = 0x3f;
const NBSP = 0xa0;
/** This share of the bytes at odd or even places must be 0 if there is no byte order mark. */
const MIN_ZEROS = 0.8;

/** UTF-16 as bytes of ASCII: traces are ASCII, so any other character becomes a question mark. */
export class Utf16 {
  readonly #high: 0 | 1;
  /** A first byte whose second byte is in the next chunk; -1 if there is none. */
  #first = -1;
  #out = new Uint8Array(0);

  /** @param high place of the high byte in a pair: 1 for little-endian, 0 for big-endian */
  constructor(high: 0 | 1) {
    this.#high = high;
  }

  /** The bytes are valid until the next call. */
  decode(chunk: Uint8Array): Uint8Array {
    if (this.#out.length < chunk.length) this.#out = new Uint8Array(chunk.length);
    let length = 0;
    for (const byte of chunk) {
      if (this.#first < 0) {
        this.#first = byte;
        continue;
      }
      const unit = this.#high === 1 ? byte * 256 + this.#first : this.#first * 256 + byte;
      this.#first = -1;
      if (unit !== 0xfeff) this.#out[length++] = unit < 0x80 ? unit : unit === NBSP ? SPACE : QUESTION_MARK;
    }
    return this.#out.subarray(0, length);
  }
}

/** A decoder for a file that begins like this; undefined if the file is not in UTF-16. */
export function decodeUtf16(head: Uint8Array): Utf16 | undefined {
  if (head[0] === 0xff && head[1] === 0xfe) return new Utf16(1);
  if (head[0] === 0xfe && head[1] === 0xff) return new Utf16(0);
  const pairs = head.length >> 1;
  const zeros = [0, 0];
  for (let i = 0; i < pairs * 2; i++) if (head[i] === 0) zeros[i & 1] = (zeros[i & 1] as number) + 1;
  const [even = 0, odd = 0] = zeros;
  if (pairs < 2 || (even > 0 && odd > 0)) return undefined;
  if (odd >= pairs * MIN_ZEROS) return new Utf16(1);
  return even >= pairs * MIN_ZEROS ? new Utf16(0) : undefined;
}
