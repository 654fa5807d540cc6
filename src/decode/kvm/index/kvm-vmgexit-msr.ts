/**
 * kvm_vmgexit_msr_protocol_enter: a guest with encrypted registers asks for something by an MSR, as it does before it
 * has a GHCB. To kvm_exit this is `vmgexit` too, and kvm_vmgexit_enter is not raised.
 *
 *   text   vcpu 0, ghcb_gpa 8000001f00000004
 *
 * The low 12 bits say what it asks for: GHCB_MSR_*_REQ of arch/x86/include/asm/sev-common.h. Source of the event:
 * arch/x86/kvm/trace.h (5.11 to 6.18).
 */
import { GHCB_EXIT } from '../../../trace/sink.js';
import type { KvmEvent } from '../../format/kvm-event.js';
import { fieldsEnd, readInt } from '../../format/record-field.js';
import { bindFields } from '../../format/record-reader.js';
import { ReasonInterner } from '../../reasons/reason-interner.js';
import { ascii, hexadecimal, indexOf, skipHex } from '../../text/bytes.js';

const VALUE = ascii('ghcb_gpa ');
const REQUEST_BITS = 0xfff;
const REQUEST_DIGITS = 3;

/** Requests by number. Other numbers are the guest's own, and must not make names. */
const REQUESTS: ReadonlyMap<number, string> = new Map([
  [0x002, 'msr_sev_info'],
  [0x004, 'msr_cpuid'],
  [0x006, 'msr_ap_reset_hold'],
  [0x010, 'msr_preferred_gpa'],
  [0x012, 'msr_register_gpa'],
  [0x014, 'msr_page_state_change'],
  [0x016, 'msr_run_vmpl'],
  [0x080, 'msr_hypervisor_feature'],
  [0x100, 'msr_term_request'],
]);

function requestLabel(request: number): string {
  return REQUESTS.get(request) ?? 'unknown';
}

export const kvmVmgexitMsr: KvmEvent = {
  names: ['kvm_vmgexit_msr_protocol_enter'],
  neededBy: ['indices'],

  record: (format, { sink, vocabulary, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'ghcb_gpa');
    const [value] = fields;
    if (value === undefined) return undefined;
    const requests = new ReasonInterner(vocabulary.reasons, requestLabel);
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) =>
        sink.index(timeNs, cpu, tid, GHCB_EXIT, requests.id(readInt(view, record, value) & REQUEST_BITS)),
    };
  },

  text: ({ sink, vocabulary }) => {
    const requests = new ReasonInterner(vocabulary.reasons, requestLabel);
    return (bytes, end, line) => {
      const word = indexOf(bytes, line.argsStart, end, VALUE);
      if (word < 0) return false;
      const valueStart = word + VALUE.length;
      const valueEnd = skipHex(bytes, valueStart, end);
      // The whole value has more bits than a number is exact to.
      const request = hexadecimal(bytes, Math.max(valueStart, valueEnd - REQUEST_DIGITS), valueEnd);
      if (request < 0) return false;
      sink.index(line.timeNs, line.cpu, line.tid, GHCB_EXIT, requests.id(request));
      return true;
    };
  },
};
