/**
 * Texts that programs write to `trace_marker`. QEMU's ftrace backend writes its trace events there; any other text is
 * counted as a marker and is no error.
 *
 *   text     tracing_mark_write: kvm_run_exit cpu_index 0, reason 2
 *            print: tracing_mark_write: kvm_run_exit cpu_index 0, reason 2     trace-cmd
 *            0: kvm_run_exit cpu_index 0, reason 2                             a kernel without symbols
 *            print: ip=0xffffffff812377ff buf=kvm_run_exit cpu_index 0, ...    trace-cmd report -R, the option fields
 *   record   unsigned long ip, char buf[]: `kvm_run_exit cpu_index 0, reason 2\n\0`
 *
 * Source: kernel/trace/trace.c (tracing_mark_write) and kernel/trace/trace_output.c (trace_print_print), Linux 6.18. In
 * text, the name of the function that wrote the marker stands in the place of the event's name.
 */
import type { EventForms } from '../format/event-forms.js';
import { decodeQemuEventText } from '../qemu/event-text.js';
import { ascii, indexOf, indexOfByte, NEWLINE, skipSpaces, skipWord, startsWith } from '../text/bytes.js';
import type { FtraceLine } from '../text/ftrace-line.js';

/** The event of a marker's record, `ftrace:print`. */
export const MARKER_EVENT = 'print';
/** The name under which markers are counted. */
export const MARKER_NAME = 'tracing_mark_write';
/** Names that stand for a marker in text. {@link isQemuMarker} finds markers under other names. */
export const MARKER_TOKENS = [MARKER_NAME, MARKER_EVENT, '0'];

const RUN_EXIT = ascii('kvm_run_exit cpu_index ');
const IP = ascii('ip=');
const BUF = ascii(' buf=');
const COLON = 0x3a;

export const marker: EventForms = {
  record: (format, { sink, vocabulary }) => {
    const text = format.fields.find(({ name }) => name === 'buf');
    if (text === undefined) return undefined;
    return {
      needed: text.offset,
      read: ({ bytes, timeNs }, record, end, _cpu, tid) => {
        const start = record + text.offset;
        // The kernel ends the text with a NUL and fills up to a whole word; QEMU ends it with a newline.
        let last = indexOfByte(bytes, start, end, 0);
        if (last < 0) last = end;
        if (last > start && bytes[last - 1] === NEWLINE) last--;
        decodeQemuEventText(bytes, start, last, timeNs, tid, vocabulary, sink);
      },
    };
  },

  text:
    ({ vocabulary, sink }) =>
    (bytes, end, line) => {
      let start = line.argsStart;
      const word = skipWord(bytes, start, end);
      if (bytes[word - 1] === COLON) start = skipSpaces(bytes, word, end);
      else if (startsWith(bytes, start, end, IP)) start = Math.max(start, indexOf(bytes, start, end, BUF) + BUF.length);
      decodeQemuEventText(bytes, start, end, line.timeNs, line.tid, vocabulary, sink);
      return true;
    },
};

/** True if the line's text is one of QEMU's, whatever the event's name: the name is then a symbol of the kernel. */
export function isQemuMarker(bytes: Uint8Array, end: number, line: FtraceLine): boolean {
  return startsWith(bytes, line.argsStart, end, RUN_EXIT);
}
