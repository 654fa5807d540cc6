/**
 * kvm_userspace_exit: KVM_RUN returns to the VMM. The same on all architectures.
 *
 *   text     reason KVM_EXIT_IO (2)
 *            reason restart (4)                          errno 4, EINTR: a signal interrupted KVM_RUN
 *            reason error (11)                           any other errno; some write it as -11
 *   record   0d 06 24 00  bc 00 00 00                    common_type 1549, common_pid 188
 *            00 00 00 00  fc ff ff ff                    reason 0, errno -4; reason is stale if errno is negative
 *
 * Recorded on Linux 6.12. Source: include/trace/events/kvm.h. The number in the text is an errno behind `restart` and
 * `error`, so the word has to be read first.
 */

import type { KvmEvent } from '../format/kvm-event.js';
import { fieldLabels } from '../format/print-fmt.js';
import { fieldsEnd, readInt } from '../format/record-field.js';
import { bindFields } from '../format/record-reader.js';
import { ReasonInterner } from '../reasons/reason-interner.js';
import { userspaceReasonLabel } from '../reasons/userspace.js';
import { ascii, decimal, indexOfByte, skipDigits, startsWith } from '../text/bytes.js';

/** The same number on every architecture. */
const EINTR = 4;

const REASON = ascii('reason ');
const RESTART = ascii('restart');
const ERROR = ascii('error');
const OPEN_PAREN = 0x28;
const CLOSE_PAREN = 0x29;
const MINUS = 0x2d;

export const kvmUserspaceExit: KvmEvent = {
  names: ['kvm_userspace_exit'],
  neededBy: 'always',

  record: (format, { sink, vocabulary, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'reason', 'errno');
    const [reason, errno] = fields;
    if (reason === undefined || errno === undefined) return undefined;
    const labels = fieldLabels(format.printFmt, 'reason');
    const reasons = new ReasonInterner(
      vocabulary.reasons,
      (code) => labels.get(code >>> 0) ?? userspaceReasonLabel(code >>> 0),
    );
    const restart = vocabulary.reasons.id('restart');
    const error = vocabulary.reasons.id('error');
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        const result = readInt(view, record, errno);
        let id: number;
        if (result >= 0) id = reasons.id(readInt(view, record, reason));
        else id = result === -EINTR ? restart : error;
        sink.userspaceExit(timeNs, cpu, tid, id);
      },
    };
  },

  text: ({ vocabulary, sink }) => {
    const reasons = new ReasonInterner(vocabulary.reasons, userspaceReasonLabel);
    const restart = vocabulary.reasons.id('restart');
    const error = vocabulary.reasons.id('error');
    return (bytes, end, line) => {
      if (!startsWith(bytes, line.argsStart, end, REASON)) return false;
      const word = line.argsStart + REASON.length;
      const open = indexOfByte(bytes, word, end, OPEN_PAREN);
      if (open < 0) return false;
      const digits = bytes[open + 1] === MINUS ? open + 2 : open + 1;
      const close = skipDigits(bytes, digits, end);
      if (close === digits || bytes[close] !== CLOSE_PAREN) return false;
      let reason: number;
      if (startsWith(bytes, word, end, RESTART)) reason = restart;
      else if (startsWith(bytes, word, end, ERROR)) reason = error;
      else reason = reasons.id(decimal(bytes, digits, close));
      sink.userspaceExit(line.timeNs, line.cpu, line.tid, reason);
      return true;
    };
  },
};
