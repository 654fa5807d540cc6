/**
 * The answer of QEMU's monitor to `info mtree -f`: which device answers at which address of the VM at this moment.
 *
 *   FlatView #0
 *    AS "memory", root: system
 *    Root memory region: system
 *     00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem
 *     00000000fed00000-00000000fed003ff (prio 0, i/o): hpet
 *   FlatView #1
 *    AS "I/O", root: io
 *    Root memory region: io
 *     0000000000000070-0000000000000070 (prio 0, i/o): rtc-index
 *     0000000000000071-0000000000000071 (prio 0, i/o): rtc @0000000000000001
 *     0000000000000072-000000000000007d (prio 0, i/o): io @0000000000000072
 *
 * Specified by system/memory.c, mtree_print_flatview (QEMU 2.9 and later; softmmu/memory.c in 7.2, which the recorded
 * samples are from). Lines end with CR LF. `@` is the offset within the region; ` KVM` and ` owner:{...}` may follow. A
 * range that has the name of the root region is a hole: no device answers there.
 *
 * Ignored: RAM and ROM, because accesses to them do not leave the guest, and the views of devices that access memory
 * themselves.
 */
import type { AddressRange, DeviceRanges } from '../../trace/device-ranges.js';

const VIEW = /^FlatView #\d+/;
const ADDRESS_SPACE = /^ AS "([^"]*)"/;
const ROOT_REGION = /^ Root memory region: (.*)$/;
const RANGE = /^ {2}([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (?:nv-)?(i\/o|romd)\): (.*)$/;
/** What may follow the name of a region, the last first; any number of them. */
const OWNER = ' owner:{';
const KVM = ' KVM';
const OFFSET = / @[0-9a-f]{16}$/;
const OFFSET_LENGTH = ' @0000000000000001'.length;
/** A machine with hundreds of devices has several thousand ranges. */
const MAX_RANGES = 16_384;
/** Characters that are read: fifty times what a machine with hundreds of devices prints. */
const MAX_TEXT = 1 << 22;
/** Lengths of the lines that describe a view or a range. Shorter and longer lines are left out. */
const MIN_LINE = 'FlatView #0'.length;
const MAX_LINE = 4096;
/** More than the longest name of a region in QEMU. */
const MAX_NAME = 128;

/** Ranges of each kind, ascending as QEMU prints them. Lines of other kinds, and ranges out of order, are left out. */
export function parseMtree(text: string): DeviceRanges {
  const ports: AddressRange[] = [];
  const memory: AddressRange[] = [];
  let target: AddressRange[] | undefined;
  let root = '';
  for (const line of linesOf(text)) {
    if (VIEW.test(line)) target = undefined;
    const space = ADDRESS_SPACE.exec(line)?.[1];
    if (space === 'memory') target = memory;
    else if (space === 'I/O') target = ports;
    root = ROOT_REGION.exec(line)?.[1] ?? root;
    const range = target === undefined || target.length >= MAX_RANGES ? undefined : parseRange(line);
    // Lookup is a binary search, which a range out of order would mislead.
    if (range !== undefined && range.device !== root && range.first > (target?.at(-1)?.last ?? -1)) target?.push(range);
  }
  return { ports, memory };
}

/** One line after the other, because a list of all lines can take ten times the memory of the text. */
function* linesOf(text: string): IterableIterator<string> {
  const textEnd = Math.min(text.length, MAX_TEXT);
  for (let start = 0; start < textEnd; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const length = end - start;
    if (length >= MIN_LINE && length <= MAX_LINE) yield text.slice(start, text[end - 1] === '\r' ? end - 1 : end);
    start = end + 1;
  }
}

function parseRange(line: string): AddressRange | undefined {
  const [, first = '', last = '', , rest = ''] = RANGE.exec(line) ?? [];
  if (rest === '') return undefined;
  const range = { first: Number.parseInt(first, 16), last: Number.parseInt(last, 16), device: nameOf(rest) };
  // A guest reaches no address of 2^53 or more.
  return range.first <= range.last && Number.isSafeInteger(range.first) ? range : undefined;
}

function nameOf(rest: string): string {
  const owner = rest.indexOf(OWNER);
  let end = owner < 0 ? rest.length : owner;
  for (let previous = -1; previous !== end; ) {
    previous = end;
    if (rest.endsWith(KVM, end)) end -= KVM.length;
    if (OFFSET.test(rest.slice(Math.max(0, end - OFFSET_LENGTH), end))) end -= OFFSET_LENGTH;
  }
  // Joined again from its characters: a slice would keep the whole answer in memory for as long as the VM runs.
  return Array.from(rest.slice(0, Math.min(end, MAX_NAME))).join('');
}
