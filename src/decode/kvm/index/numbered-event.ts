import type { IndexKind } from '../../../trace/sink.js';
import type { KvmEvent } from '../../format/kvm-event.js';
import { fieldsEnd, readUnsigned } from '../../format/record-field.js';
import { bindFields } from '../../format/record-reader.js';
import { ascii, hexadecimalAfter } from '../../text/bytes.js';

export interface NumberedEventOptions {
  readonly name: string;
  readonly kind: IndexKind;
  /** Field of the record that holds the number. */
  readonly field: string;
  /** Word of the text that the number follows, in hexadecimal. */
  readonly word: string;
  /** Bits of the number that are used; default: all. */
  readonly mask?: number;
}

/** An event of which one number is used, with the same meaning on every kernel. */
export function numberedEvent({ name, kind, field, word, mask = 0 }: NumberedEventOptions): KvmEvent {
  const before = ascii(word);
  return {
    names: [name],
    neededBy: ['indices'],

    record: (format, { sink, bigEndian }) => {
      const fields = bindFields(format, bigEndian, field);
      const [number] = fields;
      if (number === undefined) return undefined;
      return {
        needed: fieldsEnd(fields),
        read: ({ view, timeNs }, record, _end, cpu, tid) => {
          const value = readUnsigned(view, record, number);
          sink.index(timeNs, cpu, tid, kind, mask === 0 ? value : lowBits(value, mask));
        },
      };
    },

    text:
      ({ sink }) =>
      (bytes, end, line) => {
        const value = hexadecimalAfter(bytes, line.argsStart, end, before);
        if (Number.isNaN(value)) return false;
        sink.index(line.timeNs, line.cpu, line.tid, kind, mask === 0 ? value : lowBits(value, mask));
        return true;
      },
  };
}

/** A number above 2^32 has the same low bits as its rest. */
function lowBits(value: number, mask: number): number {
  return (value % 2 ** 32) & mask;
}
