/**
 * Layout of a simple trace of QEMU, and the checks that tell a damaged one. simple-decoder.ts shows the whole layout.
 * Source: TraceLogHeader, TraceRecord and st_write_event_mapping in trace/simple.c (QEMU 7.2).
 */

/** u64 0xffffffffffffffff, u64 0xf2b177cb0aa429b4, u64 version. */
export const FILE_HEADER = 24;
/** u64 event, u64 time, u32 length, u32 pid. */
export const RECORD_HEADER = 24;
/** u64 type, before each mapping and record in version 4. */
export const TYPE = 8;
/** u64 type, u64 event, u32 length of the name that follows. */
const MAPPING_HEADER = TYPE + 12;

/** Bytes. QEMU's records have at most ten arguments of 516 bytes. */
export const MAX_RECORD = 1 << 16;
/** QEMU has about 5,000 events. */
export const MAX_EVENTS = 1 << 16;
const MAX_NAME = 128;

/** Returned instead of a length: more bytes are needed. */
export const INCOMPLETE = 0;
/** Returned instead of a length: QEMU cannot have written this. */
export const CORRUPT = -1;

const ONES = 0xffffffff;
const DROPPED_LOW = 0xfffffffe;
const MAGIC_LOW = 0x0aa429b4;
const MAGIC_HIGH = 0xf2b177cb;

/** Reason why a file with this header cannot be read; undefined if it can. */
export function headerProblem(view: DataView): string | undefined {
  if (hasMagic(view, false)) return 'a simple trace of a big-endian host; only little-endian ones can be read';
  if (!hasMagic(view, true)) return 'not a simple trace of QEMU';
  const version = readU64(view, 16);
  if (version === 2 || version === 3 || version === 4) return undefined;
  if (version === 0) return 'a simple trace of version 0 (before QEMU 1.2); versions 2 to 4 can be read';
  return `a simple trace of version ${version}; versions 2 to 4 can be read`;
}

/** Exact up to 2^53. */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

/**
 * True if the record at `at` counts dropped events: its event is 0xfffffffffffffffe, while numbers of events are small.
 */
export function isDropped(view: DataView, at: number): boolean {
  return view.getUint32(at + 4, true) === ONES && view.getUint32(at, true) === DROPPED_LOW;
}

/** True if the u64 at `at` can be the number of an event, or marks dropped events. */
export function isEvent(view: DataView, at: number): boolean {
  return view.getUint32(at + 4, true) === 0 ? view.getUint32(at, true) < MAX_EVENTS : isDropped(view, at);
}

/** Length of the mapping at `at`, its type included; or {@link INCOMPLETE} or {@link CORRUPT}. */
export function mappingLength(bytes: Uint8Array, view: DataView, at: number): number {
  const nameStart = mappedName(at);
  if (bytes.length < nameStart) return INCOMPLETE;
  if (view.getUint32(at + TYPE + 4, true) !== 0 || view.getUint32(at + TYPE, true) >= MAX_EVENTS) return CORRUPT;
  const length = view.getUint32(at + TYPE + 8, true);
  if (length === 0 || length > MAX_NAME) return CORRUPT;
  const nameEnd = Math.min(nameStart + length, bytes.length);
  for (let i = nameStart; i < nameEnd; i++) if (!isNameByte(bytes[i] as number)) return CORRUPT;
  return bytes.length < nameStart + length ? INCOMPLETE : nameStart + length - at;
}

/** Position of the name in the mapping at `at`. The name extends to the end of the mapping. */
export function mappedName(at: number): number {
  return at + MAPPING_HEADER;
}

/** True if the file header has the magic numbers in this byte order. */
export function hasMagic(view: DataView, littleEndian: boolean): boolean {
  const [low, high] = littleEndian ? [8, 12] : [12, 8];
  if (view.getUint32(0) !== ONES || view.getUint32(4) !== ONES) return false;
  return view.getUint32(low, littleEndian) === MAGIC_LOW && view.getUint32(high, littleEndian) === MAGIC_HIGH;
}

function isNameByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x5f;
}
