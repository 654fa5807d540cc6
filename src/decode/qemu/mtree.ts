/**
 * What QEMU's monitor answers to `info mtree -f`: which device answers at which address of this VM, now.
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
 * Specified by system/memory.c, mtree_print_flatview (QEMU 2.9 and later; softmmu/memory.c in 7.2, recorded). Lines end with CR LF. `@` is the
 * offset within the region; ` KVM` and ` owner:{...}` may follow. What the root itself is named at an address is a hole: nobody is there.
 *
 * Not used: RAM and ROM, which do not leave the guest, and the views of devices that reach memory themselves.
 */
import type { AddressRange, DeviceRanges } from '../../trace/sink.js';

const VIEW = /^FlatView #\d+/;
const SPACE = /^ AS "([^"]*)"/;
const ROOT = /^ Root memory region: (.*)$/;
const RANGE = /^ {2}([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (?:nv-)?(i\/o|romd)\): (.*)$/;
/** What stands behind a region's name. */
const MORE = / owner:\{.*$| KVM$| @[0-9a-f]{16}$/;
/** A machine with hundreds of devices has some thousands. */
const MAX_RANGES = 16_384;

/** Ranges of each kind in order, as QEMU prints them. Lines that are something else, or not in order, are left out. */
export function parseMtree(text: string): DeviceRanges {
  const ports: AddressRange[] = [];
  const memory: AddressRange[] = [];
  let into: AddressRange[] | undefined;
  let root = '';
  for (const line of text.split(/\r?\n/)) {
    if (VIEW.test(line)) into = undefined;
    const space = SPACE.exec(line)?.[1];
    if (space === 'memory') into = memory;
    else if (space === 'I/O') into = ports;
    root = ROOT.exec(line)?.[1] ?? root;
    const range = into === undefined || into.length >= MAX_RANGES ? undefined : rangeOf(line);
    // Looked up by halving: what is not in order would hide others.
    if (range !== undefined && range.device !== root && range.first > (into?.at(-1)?.last ?? -1)) into?.push(range);
  }
  return { ports, memory };
}

function rangeOf(line: string): AddressRange | undefined {
  const [, first = '', last = '', , rest = ''] = RANGE.exec(line) ?? [];
  if (rest === '') return undefined;
  // Beyond 2^53 is nothing that a guest reaches.
  const range = { first: Number.parseInt(first, 16), last: Number.parseInt(last, 16), device: nameOf(rest) };
  return range.first <= range.last && Number.isSafeInteger(range.first) ? range : undefined;
}

function nameOf(rest: string): string {
  let name = rest;
  for (let shorter = name.replace(MORE, ''); shorter !== name; shorter = name.replace(MORE, '')) name = shorter;
  return name;
}
