/** A generator of numbers in [0, 1). The same seed gives the same numbers, so that a run can be repeated. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Longer than every limit of a decoder on the length of its input. */
const MAX_LENGTH = 20_000;
/** Numbers at the limits of their types. */
const LIMITS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const WORDS = [
  '\n',
  '\r\n',
  '\0',
  ' ',
  ':',
  '[',
  ']',
  '(',
  ')',
  '#',
  '0x',
  '-1',
  '9'.repeat(40),
  'kvm_exit: ',
  'LOST ',
  '{',
  '"',
  ',',
];

/**
 * A copy with one to four changes: to bits, bytes and numbers, and of pieces that are inserted, repeated or removed.
 * @param donor another input, which pieces are taken from
 */
export function mutated(bytes: Uint8Array, donor: Uint8Array, random: () => number): Uint8Array {
  let changed = Buffer.from(bytes);
  const changes = 1 + Math.floor(random() * 4);
  for (let i = 0; i < changes; i++) {
    const change = CHANGES[Math.floor(random() * CHANGES.length)];
    if (change !== undefined) changed = change(changed, donor, (below) => Math.floor(random() * below));
  }
  return changed.subarray(0, MAX_LENGTH);
}

type Change = (bytes: Buffer, donor: Uint8Array, below: (limit: number) => number) => Buffer<ArrayBuffer>;

const CHANGES: readonly Change[] = [
  (bytes, _donor, below) =>
    changedCopy(bytes, (own) => {
      const at = below(own.length);
      own.subarray(at, at + 1).fill(below(256));
    }),
  (bytes, _donor, below) =>
    changedCopy(bytes, (own) => {
      const at = below(own.length);
      own[at] = (own[at] ?? 0) ^ (1 << below(8));
    }),
  (bytes, _donor, below) =>
    changedCopy(bytes, (own) => {
      const limit = LIMITS[below(LIMITS.length)] ?? 0;
      if (own.length >= 4) own.writeUInt32LE(limit, below(own.length - 3));
    }),
  (bytes, _donor, below) => insert(bytes, below(bytes.length + 1), Buffer.from(WORDS[below(WORDS.length)] ?? '')),
  (bytes, donor, below) => {
    const from = below(donor.length);
    return insert(bytes, below(bytes.length + 1), donor.subarray(from, from + below(400)));
  },
  (bytes, _donor, below) => {
    const from = below(bytes.length);
    return insert(bytes, below(bytes.length + 1), bytes.subarray(from, from + below(400)));
  },
  (bytes, _donor, below) => {
    const at = below(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + below(400))]);
  },
  (bytes, _donor, below) => Buffer.from(bytes.subarray(0, below(bytes.length + 1))),
];

function changedCopy(bytes: Buffer, change: (own: Buffer) => unknown): Buffer<ArrayBuffer> {
  const own = Buffer.from(bytes);
  change(own);
  return own;
}

function insert(bytes: Buffer, at: number, piece: Uint8Array): Buffer<ArrayBuffer> {
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
}
