/**
 * kvm_apicv_inhibit_changed: something begins or ceases to keep APICv (Intel) or AVIC (AMD) off for a VM, so that its
 * interrupts cost exits (x86).
 *
 *   text     set reason=9, inhibits=0x200 PIT_REINJ
 *            cleared reason=9, inhibits=0x0
 *            set reason=9, inhibits=0x200                      (before 6.3: without names)
 *   record   09 00 00 00  01 .. .. ..   reason 9, set
 *            00 02 00 00  00 00 00 00   inhibits: bit 9
 *
 * The numbers of the reasons differ between kernels. The kernel's format has the names in the order of the numbers, as
 * enum kvm_apicv_inhibit and APICV_INHIBIT_REASONS have the same order (arch/x86/include/asm/kvm_host.h, 6.3 to 6.18).
 * A text names the reasons that are in force, in the order of their bits. Without a name the number is the label.
 */

import { latin1 } from '../../../trace/names.js';
import type { KvmEvent } from '../../format/kvm-event.js';
import { fieldsEnd, readInt } from '../../format/record-field.js';
import { bindFields } from '../../format/record-reader.js';
import { ReasonInterner } from '../../reasons/reason-interner.js';
import { ascii, decimal, hexadecimalAfter, indexOf, skipHex, startsWith } from '../../text/bytes.js';

const SET = ascii('set reason=');
const CLEARED = ascii('cleared reason=');
const INHIBITS = ascii('inhibits=');
/** Bits of the mask; the numbers of all known kernels are below 16. */
const MAX_REASONS = 32;
/** A listed name: `{ ((((1UL))) << (APICV_INHIBIT_REASON_DISABLED)), "DISABLED" }`. */
const LISTED_NAME = /APICV_INHIBIT_REASON_[A-Z0-9_]{1,64}\)*, "([A-Z0-9_]{1,64})"/g;

export const kvmApicvInhibit: KvmEvent = {
  names: ['kvm_apicv_inhibit_changed'],
  neededBy: ['indices'],

  record: (format, { sink, vocabulary, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'reason', 'set');
    const [reason, set] = fields;
    if (reason === undefined || set === undefined) return undefined;
    const names = Array.from(format.printFmt.matchAll(LISTED_NAME), ([, name]) => name as string);
    const reasons = new ReasonInterner(vocabulary.reasons, (code) => names[code] ?? String(code));
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        const id = reasons.id(readInt(view, record, reason));
        sink.apicvInhibit(timeNs, cpu, tid, id, readInt(view, record, set) !== 0);
      },
    };
  },

  text: ({ sink, vocabulary }) => {
    /** Number -> name, as the lines so far have shown. */
    const names: string[] = [];
    return (bytes, end, line) => {
      const isOn = startsWith(bytes, line.argsStart, end, SET);
      if (!isOn && !startsWith(bytes, line.argsStart, end, CLEARED)) return false;
      const reason = decimal(bytes, line.argsStart + (isOn ? SET.length : CLEARED.length), end);
      const mask = hexadecimalAfter(bytes, line.argsStart, end, INHIBITS);
      if (reason < 0 || reason >= MAX_REASONS || Number.isNaN(mask)) return false;
      const listed = skipHex(bytes, indexOf(bytes, line.argsStart, end, INHIBITS) + INHIBITS.length + 2, end);
      learnNames(names, mask, latin1(bytes, listed, end).trim());
      const id = vocabulary.reasons.id(names[reason] ?? String(reason));
      sink.apicvInhibit(line.timeNs, line.cpu, line.tid, id, isOn);
      return true;
    };
  },
};

/** @param listed names of the bits in the mask, from the lowest one up: `IRQWIN|PIT_REINJ`; '' before 6.3 */
function learnNames(names: string[], mask: number, listed: string): void {
  const found = listed === '' ? [] : listed.split('|');
  let next = 0;
  for (let bit = 0; bit < MAX_REASONS; bit++) {
    if (Math.floor(mask / 2 ** bit) % 2 === 0) continue;
    const name = found[next++];
    if (name !== undefined && /^[A-Z][A-Z0-9_]{0,63}$/.test(name)) names[bit] = name;
  }
}
