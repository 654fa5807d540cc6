/**
 * Events as `name=value`, without the text that the kernel gives them:
 *
 *   kvm_exit:   exit_reason=1024 guest_rip=0xfff0 isa=2 info1=0x0000000100000014 ... vcpu_id=0      trace-cmd report -R
 *   kvm_userspace_exit: reason=0x2 (2) errno=0xfffffffc (-4)                                       the option fields
 *
 * The values are put into a record of their own, which the event's reader of records decodes: so whatever it knows of
 * an architecture's fields holds for this text too. It is exact, as `errno` is in it.
 *
 * Source: trace-cmd 3.1.6; print_fields() in kernel/trace/trace_output.c (Linux 6.4 to 6.18), where a value of one byte
 * is `'c'(99)` or `(1)`, and one of eight bytes can be a symbol.
 */
import { latin1 } from '../../trace/names.js';
import type { EventForms, TextContext, TextScanner } from '../format/event-forms.js';
import type { RecordPage, RecordReader } from '../format/record-reader.js';
import { hexDigit, isDigit, SPACE } from '../text/bytes.js';
import type { FtraceLine } from '../text/ftrace-line.js';

const EQUALS = 0x3d;
const UNDERSCORE = 0x5f;
const MINUS = 0x2d;
const ZERO = 0x30;
const LETTER_X = 0x78;
const OPEN_PAREN = 0x28;
const QUOTE = 0x27;
/** More than an event of KVM has. */
const MAX_FIELDS = 32;
const FIELD_BYTES = 8;

/** Scans an event's text if it consists of fields. */
export function fieldScanner(name: string, forms: EventForms, context: TextContext): TextScanner {
  const text = new FieldText(name, forms, context);
  return (bytes, end, line) => text.scan(bytes, end, line);
}

class FieldText {
  readonly #event: string;
  readonly #forms: EventForms;
  readonly #context: TextContext;
  readonly #page: RecordPage;
  /** Places of the names and values in the present line. */
  readonly #starts = new Int32Array(MAX_FIELDS);
  readonly #ends = new Int32Array(MAX_FIELDS);
  /** The names for which {@link #reader} was made. All lines of a file have the same. */
  #names: string[] = [];
  #reader: RecordReader | undefined;
  #valueLow = 0;
  #valueHigh = 0;

  constructor(name: string, forms: EventForms, context: TextContext) {
    this.#event = name;
    this.#forms = forms;
    this.#context = context;
    const bytes = new Uint8Array(MAX_FIELDS * FIELD_BYTES);
    this.#page = { bytes, view: new DataView(bytes.buffer), timeNs: Number.NaN };
  }

  scan(bytes: Uint8Array, end: number, line: FtraceLine): boolean {
    const count = this.#findFields(bytes, line.argsStart, end);
    if (count === 0) return false;
    if (!this.#hasNames(bytes, count)) this.#bind(bytes, count);
    const reader = this.#reader;
    if (reader === undefined) return false;
    for (let index = 0; index < count; index++) {
      this.#readValue(bytes, (this.#ends[index] as number) + 1, end);
      this.#page.view.setInt32(index * FIELD_BYTES, this.#valueLow, true);
      this.#page.view.setInt32(index * FIELD_BYTES + 4, this.#valueHigh, true);
    }
    this.#page.timeNs = line.timeNs;
    reader.read(this.#page, 0, count * FIELD_BYTES, line.cpu, line.tid);
    return true;
  }

  /** Finds the names that are followed by `=`. 0 if the text does not begin with one. */
  #findFields(bytes: Uint8Array, start: number, end: number): number {
    let count = 0;
    for (let at = start; at < end && count < MAX_FIELDS; ) {
      let nameEnd = at;
      while (nameEnd < end && isNameByte(bytes[nameEnd] as number)) nameEnd++;
      if (nameEnd > at && nameEnd < end && bytes[nameEnd] === EQUALS) {
        this.#starts[count] = at;
        this.#ends[count++] = nameEnd;
      } else if (count === 0) {
        return 0;
      }
      at = nameEnd;
      while (at < end && bytes[at] !== SPACE) at++;
      while (at < end && bytes[at] === SPACE) at++;
    }
    return count;
  }

  #hasNames(bytes: Uint8Array, count: number): boolean {
    if (count !== this.#names.length) return false;
    for (let index = 0; index < count; index++) {
      const name = this.#names[index] as string;
      const start = this.#starts[index] as number;
      if (name.length !== (this.#ends[index] as number) - start) return false;
      for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== bytes[start + i]) return false;
    }
    return true;
  }

  #bind(bytes: Uint8Array, count: number): void {
    this.#names = Array.from({ length: count }, (_, index) =>
      latin1(bytes, this.#starts[index] as number, this.#ends[index] as number),
    );
    const fields = this.#names.map((name, index) => ({
      name,
      offset: index * FIELD_BYTES,
      size: FIELD_BYTES,
      isArray: false,
    }));
    const format = { name: this.#event, id: 0, fields, printFmt: '' };
    this.#reader = this.#forms.record(format, { ...this.#context, bigEndian: false });
  }

  /** Reads a number as two words of 32 bits, as 64 bits do not fit into a double. 0 if there is none. */
  #readValue(bytes: Uint8Array, start: number, end: number): void {
    let low = 0;
    let high = 0;
    let at = start;
    if (bytes[at] === QUOTE) at += 3;
    if (bytes[at] === OPEN_PAREN) at++;
    const isNegative = bytes[at] === MINUS;
    if (isNegative) at++;
    if (bytes[at] === ZERO && bytes[at + 1] === LETTER_X) {
      for (at += 2; at < end; at++) {
        const digit = hexDigit(bytes[at] as number);
        if (digit < 0) break;
        high = (high << 4) | (low >>> 28);
        low = (low << 4) | digit;
      }
    } else {
      let value = 0;
      for (; at < end && isDigit(bytes[at]); at++) value = value * 10 + ((bytes[at] as number) - ZERO);
      low = value | 0;
      high = (value / 2 ** 32) | 0;
    }
    this.#valueLow = isNegative ? -low | 0 : low;
    this.#valueHigh = isNegative ? ~high + (low === 0 ? 1 : 0) : high;
  }
}

function isNameByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || isDigit(byte) || byte === UNDERSCORE;
}
