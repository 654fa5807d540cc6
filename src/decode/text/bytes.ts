/** Functions that scan ASCII in a buffer. They take and return positions and numbers, and make no strings. */

export const SPACE = 0x20;
export const NEWLINE = 0x0a;

/** The bytes of an ASCII word, for {@link startsWith} and {@link indexOf}. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

export function startsWith(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start < word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word[i]) return false;
  return true;
}

/** Position of `word` in `bytes[start, end)`, or -1. Meant for the short texts of one line. */
export function indexOf(bytes: Uint8Array, start: number, end: number, word: Uint8Array): number {
  const first = word[0];
  for (let i = start; i <= end - word.length; i++) if (bytes[i] === first && startsWith(bytes, i, end, word)) return i;
  return -1;
}

/**
 * Position of `byte` in `bytes[start, end)`, or -1. TypedArray's own indexOf has no end and would search a whole chunk.
 */
export function indexOfByte(bytes: Uint8Array, start: number, end: number, byte: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === byte) return i;
  return -1;
}

export function skipSpaces(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && bytes[i] === SPACE) i++;
  return i;
}

/** First position at or after `start` that is a blank, or `end`. */
export function skipWord(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && bytes[i] !== SPACE) i++;
  return i;
}

/** First position at or after `start` that is not a digit. */
export function skipDigits(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && isDigit(bytes[i])) i++;
  return i;
}

/** First position at or after `start` that is not a hexadecimal digit. */
export function skipHex(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && hexDigit(bytes[i] as number) >= 0) i++;
  return i;
}

/** The decimal number at `start`, at most 2^53; -1 if there is none. */
export function decimal(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  let i = start;
  for (; i < end && isDigit(bytes[i]); i++) value = value * 10 + ((bytes[i] as number) - 0x30);
  return i === start ? -1 : Math.min(value, Number.MAX_SAFE_INTEGER);
}

/** The hexadecimal number at `start`, with or without 0x, exact to 2^53 and at most 2^64; -1 if there is none. */
export function hexadecimal(bytes: Uint8Array, start: number, end: number): number {
  const from = bytes[start] === 0x30 && bytes[start + 1] === 0x78 ? start + 2 : start;
  let value = 0;
  let i = from;
  for (; i < end; i++) {
    const digit = hexDigit(bytes[i] as number);
    if (digit < 0) break;
    value = value * 16 + digit;
  }
  return i === from ? -1 : Math.min(value, 2 ** 64);
}

/** The hexadecimal number behind the first `word` in `bytes[start, end)`, NaN if there is none. */
export function hexadecimalAfter(bytes: Uint8Array, start: number, end: number, word: Uint8Array): number {
  const at = indexOf(bytes, start, end, word);
  if (at < 0) return Number.NaN;
  const value = hexadecimal(bytes, at + word.length, end);
  return value < 0 ? Number.NaN : value;
}

export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
