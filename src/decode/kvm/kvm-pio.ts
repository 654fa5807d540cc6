/**
 * kvm_pio: the guest accesses an I/O port (x86).
 *
 *   text     pio_write at 0x80 size 1 count 1 val 0x78
 *   record   4e 06 00 00  bb 00 00 00   common_type 1614, common_pid 187
 *            01 00 00 00  80 00 00 00   rw 1 (write; 0 is a read), port 0x80
 *            01 00 00 00  01 00 00 00   size 1, count 1
 *            78 00 00 00                val 0x78
 *
 * Recorded on Linux 6.12. Source: arch/x86/kvm/trace.h.
 * Not used: count, val.
 */

import type { KvmEvent } from '../format/kvm-event.js';
import { fieldsEnd, readInt, readUnsigned } from '../format/record-field.js';
import { bindFields } from '../format/record-reader.js';
import { ascii, decimal, hexadecimal, indexOf, isDigit, skipSpaces, startsWith } from '../text/bytes.js';

const PIO_WRITE = ascii('pio_write ');
const PIO_READ = ascii('pio_read ');
const AT = ascii('at ');
const SIZE = ascii(' size ');
/** The tracepoint's field has 32 bits. */
const MAX_PORT = 0xffffffff;

export const kvmPio: KvmEvent = {
  names: ['kvm_pio'],
  neededBy: ['io', 'eventfd'],

  record: (format, { sink, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'rw', 'port', 'size');
    const [rw, port, size] = fields;
    if (rw === undefined || port === undefined || size === undefined) return undefined;
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        const write = readInt(view, record, rw) !== 0;
        sink.portIo(timeNs, cpu, tid, write, readUnsigned(view, record, port), readUnsigned(view, record, size));
      },
    };
  },

  text:
    ({ sink }) =>
    (bytes, end, line) => {
      const write = startsWith(bytes, line.argsStart, end, PIO_WRITE);
      if (!write && !startsWith(bytes, line.argsStart, end, PIO_READ)) return false;
      // People align the two words.
      const at = skipSpaces(bytes, line.argsStart + (write ? PIO_WRITE.length : PIO_READ.length), end);
      if (!startsWith(bytes, at, end, AT)) return false;
      const port = hexadecimal(bytes, at + AT.length, end);
      const size = indexOf(bytes, line.argsStart, end, SIZE);
      if (port < 0 || port > MAX_PORT || size < 0 || !isDigit(bytes[size + SIZE.length])) return false;
      sink.portIo(line.timeNs, line.cpu, line.tid, write, port, decimal(bytes, size + SIZE.length, end));
      return true;
    },
};
