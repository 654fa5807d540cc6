/**
 * Lines that hold several events, because line ends were lost on the way: items of a list, text inside a JSON string,
 * elements of a web page, a paragraph of a post.
 *
 *   ["CPU 0/KVM-142 [000] 6.36: kvm_entry: vcpu 0", "CPU 0/KVM-142 [000] 6.40: kvm_exit: reason hlt rip 0x1234"]
 *   b'7022@1567775824.012200:kvm_run_exit cpu_index 1, reason 2\r\n7022@1567775824.012214:qxl_spice_oom 0'
 *   CPU 0/KVM-142 [000] 6.36: kvm_entry: vcpu 0<br>CPU 0/KVM-142 [000] 6.40: kvm_exit: reason hlt rip 0x1234
 *   CPU 0/KVM-142 [000] 6.36: kvm_entry: vcpu 0 CPU 0/KVM-142 [000] 6.40: kvm_exit: reason hlt rip 0x1234
 *
 * Such a line is cut where a mark shows the end of a line, and before each header of an event. All patterns are
 * bounded, so that the time is linear in the length of the line.
 */
import { ascii, indexOf, isDigit, SPACE, startsWith } from './bytes.js';
import type { LineCallback } from './line-splitter.js';

const COLON_SPACE = ascii(': ');
/** A blank, `.` and `,` before the last digits of a time. */
const TIME_STARTS = [SPACE, 0x2e, 0x2c];
/** Microseconds and a delay mark, with the option latency-format. */
const US = ascii('us');
const US_LENGTH = 3;
const KVM_PREFIX = ascii('kvm_');
/** The digits behind the point of a time are six or nine; the time of a clock that does not count time is longer. */
const DIGITS = 6;
/** Longer than any event. */
const TAIL_BYTES = 8192;
/** Longer than the header of an event. */
const HEADER_BYTES = 160;

/** Marks between lines: line ends as escapes, elements of HTML, the end of a quoted item and the start of the next. */
const MARKS =
  /\\{1,8}[nr]|\\{0,8}["'][ \t]{0,16},[ \t]{0,16}\\{0,8}["']|<\/?(?:br|p|li|div|tr|td|pre|blockquote)\b[^<>]{0,200}>/gi;

/** `13.100363: kvm_exit: `, `13.100363:    1  kvm:kvm_exit: `, `41909290832: (+2)  kvm_exit: `, `47us!: kvm_exit: `. */
const TIMED =
  /(?<![\d.,])(?:\d{1,12}[.,]\d{6,9}|\d{6,20}|\d{1,15}us.): {1,40}(?:(?:\d{1,12}|\(\+\d{1,12}\)) {1,40})?(?:[\w-]{1,32}:)?[a-z_]\w{0,63}:(?: |$)/g;
const UNTIMED = /(?<![\w:])(?:kvm:)?kvm_(?!run_exit)[a-z0-9_]{1,60}:(?: |$)/g;

/** Columns before the time. The name of a thread is a word, unless it ends in a number: `fc_vcpu 0`. */
const THREAD = `(?:CPU \\d{1,4}/\\w{1,6}|<[^<>\\s]{1,14}>|[^\\s"'\`<>]{1,40}(?: \\d{1,5})?)(?:-| {1,16})\\d{1,10}(?:/\\d{1,10})?(?: {1,8}\\([ \\d-]{1,12}\\))?`;
const CPU = ' {0,16}\\[\\d{1,5}\\]';
const FLAGS = ' {1,8}[\\w.#]{4,8}';
/** Headers before the time, tried in this order on the first event of a line. All its events have the same columns. */
const COLUMNS = [[THREAD, CPU, FLAGS], [THREAD, CPU], [THREAD, FLAGS], [CPU, FLAGS], [CPU], [THREAD], []].map(
  (columns) => new RegExp(`${columns.join('')} {0,40}$`),
);

/** Beginnings of events in text of QEMU. */
const QEMU_HEADS =
  /(?<!\w)(?:\d{1,10}@\d{1,12}\.\d{1,9}:|\d{1,10}@\d{19} |\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z (?=[a-z(]))/g;
const BARE_QEMU_HEADS = /(?<!\w)kvm_run_exit:? cpu_index /g;
const SIMPLETRACE_HEADS = /(?<!\w)[A-Za-z]\w{0,127} -?\d{1,15}\.\d{3} pid=/g;

/** One character per byte, so that positions are those of the bytes. */
const LATIN1 = new TextDecoder('latin1');

/** A part of a line, as positions in it. */
export type Piece = readonly [start: number, end: number];
/** Finds where events begin in a text without marks. */
export type FindHeads = (text: string) => readonly number[];

/** True if `bytes[start, end)` seems to hold a time: `13.100363: `, `41909290832: `, or `13167478us!: `. */
function holdsTime(bytes: Uint8Array, start: number, end: number): boolean {
  let at = indexOf(bytes, start, end, COLON_SPACE);
  while (at >= 0) {
    let from = at;
    while (from > start && isDigit(bytes[from - 1])) from--;
    if (at - from >= DIGITS && TIME_STARTS.includes(bytes[from - 1] as number)) return true;
    if (startsWith(bytes, Math.max(start, at - US_LENGTH), at, US) && isDigit(bytes[at - US_LENGTH - 1])) return true;
    at = indexOf(bytes, at + 1, end, COLON_SPACE);
  }
  return false;
}

/** True if an event's own text seems to hold another event, whose header has a time if `isTimed`. */
export function holdsEvent(bytes: Uint8Array, start: number, end: number, isTimed: boolean): boolean {
  return holdsTime(bytes, start, end) || (!isTimed && indexOf(bytes, start, end, KVM_PREFIX) >= 0);
}

/** Beginnings of events in text of ftrace. */
export function ftraceHeads(text: string): readonly number[] {
  const timed = positions(text, TIMED);
  const names = timed.length > 0 ? timed : positions(text, UNTIMED);
  const first = names[0];
  if (first === undefined) return [];
  const columns = COLUMNS.find((pattern) => pattern.test(text.slice(Math.max(0, first - HEADER_BYTES), first)));
  return names.map((at, index) => {
    const from = Math.max(index === 0 ? 0 : (names[index - 1] as number), at - HEADER_BYTES);
    const length = columns?.exec(text.slice(from, at))?.[0].length ?? 0;
    return at - length;
  });
}

export function qemuHeads(text: string): readonly number[] {
  const heads = positions(text, QEMU_HEADS);
  return heads.length > 0 ? heads : positions(text, BARE_QEMU_HEADS);
}

export function simpletraceHeads(text: string): readonly number[] {
  return positions(text, SIMPLETRACE_HEADS);
}

/** Cuts a line. One piece or none: it does not hold several events. */
export function piecesOf(text: string, findHeads: FindHeads): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const mark of text.matchAll(MARKS)) {
    addPieces(text, at, mark.index, findHeads, pieces);
    at = mark.index + mark[0].length;
  }
  addPieces(text, at, text.length, findHeads, pieces);
  return pieces;
}

/** Passes the pieces of a line on. False if there are no two of them. */
export function splitEvents(
  bytes: Uint8Array,
  start: number,
  end: number,
  findHeads: FindHeads,
  onPiece: LineCallback,
): boolean {
  const pieces = piecesOf(LATIN1.decode(bytes.subarray(start, end)), findHeads);
  if (pieces.length < 2) return false;
  for (const [from, to] of pieces) onPiece(bytes, start + from, start + to);
  return true;
}

/** Position at which a line that is too long can be cut, so that `bytes[start, end)` ends between two events, or -1. */
export function lastBreak(bytes: Uint8Array, start: number, end: number): number {
  const from = Math.max(start, end - TAIL_BYTES);
  const text = LATIN1.decode(bytes.subarray(from, end));
  for (const findHeads of [ftraceHeads, qemuHeads, simpletraceHeads]) {
    const pieces = piecesOf(text, findHeads);
    const last = pieces.at(-1);
    if (last !== undefined && pieces.length > 1) return from + last[0];
  }
  return -1;
}

/** Adds what stands between two marks, cut before each head but the first, which may have a prefix. */
function addPieces(text: string, start: number, end: number, findHeads: FindHeads, pieces: Piece[]): void {
  const [, ...cuts] = findHeads(text.slice(start, end));
  let at = start;
  for (const cut of [...cuts.map((head) => start + head), end]) {
    if (text.slice(at, cut).trim() !== '') pieces.push([at, cut]);
    at = cut;
  }
}

function positions(text: string, pattern: RegExp): number[] {
  return Array.from(text.matchAll(pattern), ({ index }) => index);
}
