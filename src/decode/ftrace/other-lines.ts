/** Lines of saved text that are no events in a form that can be decoded. */
import { ascii, indexOf, isDigit, SPACE, skipDigits, skipHex, skipSpaces, startsWith } from '../text/bytes.js';

const TAB = 0x09;
const CR = 0x0d;
const COLON = 0x3a;
const DOT = 0x2e;
const GREATER = 0x3e;
const BAR = 0x7c;
const UNDERSCORE = 0x5f;
/** The kernel prints six digits behind the point, perf and trace-cmd up to nine. */
const MIN_FRACTION = 3;
const RAW_TYPE = ascii('type: ');
const KVM = ascii('kvm');
const KVM_PREFIX = ascii('kvm_');

/** Start of the text behind indentation and the marks by which mails quote. */
export function textStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const byte = bytes[at];
    if (byte !== SPACE && byte !== TAB && byte !== GREATER && byte !== BAR) break;
    at++;
  }
  return at;
}

/** True for a line of the option `raw` or `hex`: `175 0 13163980362 type: 1380`, `000020aa 00000000 ... type: 42`. */
export function isRawLine(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  for (let field = 0; field < 3; field++) {
    const next = skipHex(bytes, at, end);
    if (next === at) return false;
    at = skipSpaces(bytes, next, end);
  }
  return startsWith(bytes, at, end, RAW_TYPE);
}

/**
 * True if a line that cannot be decoded seems to be a damaged event of KVM: it has a time and the event's name, or
 * bytes that are no text.
 */
export function looksDamaged(bytes: Uint8Array, start: number, end: number): boolean {
  const timeEnd = findTime(bytes, start, end);
  return (timeEnd >= 0 && hasKvmEvent(bytes, timeEnd, end)) || hasControls(bytes, start, end);
}

function hasControls(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++)
    if ((bytes[i] as number) < SPACE && bytes[i] !== TAB && bytes[i] !== CR) return true;
  return false;
}

/** End of the first word like `280.971121:`, or -1. */
function findTime(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const point = skipDigits(bytes, at, end);
    const fractionEnd = skipDigits(bytes, point + 1, end);
    const isTime = point > at && bytes[point] === DOT && fractionEnd - point > MIN_FRACTION;
    if (isTime && fractionEnd < end) return bytes[fractionEnd] === COLON ? fractionEnd + 1 : fractionEnd;
    while (at < end && bytes[at] !== SPACE) at++;
  }
  return -1;
}

/** A word like `kvm_exit:`, or any name of KVM directly behind the time at `start`. */
function hasKvmEvent(bytes: Uint8Array, start: number, end: number): boolean {
  const first = skipSpaces(bytes, start, end);
  if (startsWith(bytes, first, end, KVM)) return true;
  const at = indexOf(bytes, first, end, KVM_PREFIX);
  if (at < 0) return false;
  let nameEnd = at;
  while (nameEnd < end && (isLowerCase(bytes[nameEnd]) || isDigit(bytes[nameEnd]) || bytes[nameEnd] === UNDERSCORE))
    nameEnd++;
  return nameEnd < end && bytes[nameEnd] === COLON;
}

function isLowerCase(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x61 && byte <= 0x7a;
}
