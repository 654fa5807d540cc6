/**
 * One trace event as QEMU writes it to its log and to its markers in ftrace: `name text`.
 *
 *   kvm_run_exit cpu_index 1, reason 2
 *   virtio_queue_notify vdev 0x55d0c1b2 n 0 vq 0x7f2a10
 *   kvm_io_window_exit
 *
 * Written by scripts/tracetool/backend/log.py and ftrace.py (QEMU 7.2). A name without text is followed by a blank too.
 * The text of kvm_run_exit is `cpu_index %d, reason %d` in every version (accel/kvm/trace-events).
 * event-details.ts decodes the texts of other events.
 */
import type { QemuSink, Vocabulary } from '../../trace/sink.js';
import { qemuReasonLabel } from '../reasons/userspace.js';
import { ascii, decimal, isDigit, SPACE, skipDigits, startsWith } from '../text/bytes.js';
import { emitTextDetail } from './event-details.js';

export const RUN_EXIT = ascii('kvm_run_exit');
export const RUN_EXIT_TEXT = ascii('kvm_run_exit cpu_index ');
const REASON = ascii(', reason ');

const DASH = 0x2d;
const UNDERSCORE = 0x5f;
/** QEMU's longest name has 52 characters. */
const MAX_NAME = 128;
const MAX_CPU = 0x7fffffff;
const MAX_REASON = 0xffffffff;

/** Decodes an event without a prefix. False if the text does not begin with the name of an event. */
export function decodeQemuEventText(
  bytes: Uint8Array,
  start: number,
  end: number,
  timeNs: number,
  tid: number,
  vocabulary: Vocabulary,
  sink: QemuSink,
): boolean {
  const nameEnd = eventNameEnd(bytes, start, end, true);
  if (nameEnd < 0) return false;
  emitQemuEvent(bytes, start, nameEnd, end, timeNs, tid, vocabulary, sink);
  return true;
}

/** Decodes an event whose name is `bytes[start, nameEnd)`. */
export function emitQemuEvent(
  bytes: Uint8Array,
  start: number,
  nameEnd: number,
  end: number,
  timeNs: number,
  tid: number,
  vocabulary: Vocabulary,
  sink: QemuSink,
): void {
  if (startsWith(bytes, start, end, RUN_EXIT_TEXT)) {
    emitRunExit(bytes, start + RUN_EXIT_TEXT.length, end, timeNs, tid, vocabulary, sink);
    return;
  }
  const event = vocabulary.qemuEvents.intern(bytes, start, nameEnd);
  sink.qemuEvent(timeNs, tid, event);
  if (isRunExit(bytes, start, nameEnd)) sink.malformed('arguments');
  else emitTextDetail(bytes, nameEnd, end, timeNs, tid, event, vocabulary, sink);
}

/** Decodes kvm_run_exit from its first number on. */
export function emitRunExit(
  bytes: Uint8Array,
  cpuStart: number,
  end: number,
  timeNs: number,
  tid: number,
  vocabulary: Vocabulary,
  sink: QemuSink,
): void {
  sink.qemuEvent(timeNs, tid, vocabulary.qemuEvents.id('kvm_run_exit'));
  const reasonAt = reasonStart(bytes, cpuStart, end);
  if (reasonAt < 0) {
    sink.malformed('arguments');
    return;
  }
  const reason = vocabulary.reasons.id(qemuReasonLabel(decimal(bytes, reasonAt, end)));
  sink.qemuRunExit(timeNs, tid, decimal(bytes, cpuStart, end), reason);
}

/** Position of the reason in `%d, reason %d` at `cpuStart`; -1 if the text is not of this form. */
export function reasonStart(bytes: Uint8Array, cpuStart: number, end: number): number {
  // -1 is QEMU's UNASSIGNED_CPU_INDEX.
  const cpuDigits = bytes[cpuStart] === DASH ? cpuStart + 1 : cpuStart;
  const cpuEnd = skipDigits(bytes, cpuDigits, end);
  if (cpuEnd === cpuDigits || decimal(bytes, cpuDigits, cpuEnd) > MAX_CPU) return -1;
  if (!startsWith(bytes, cpuEnd, end, REASON)) return -1;
  const at = cpuEnd + REASON.length;
  const reasonEnd = skipDigits(bytes, at, end);
  if (reasonEnd === at || decimal(bytes, at, reasonEnd) > MAX_REASON) return -1;
  const next = bytes[reasonEnd];
  return reasonEnd === end || !isNameByte(next as number) ? at : -1;
}

/**
 * End of the event name that begins at `start`: a blank, or `end`. -1 if it is not the name of an event.
 * @param underscore if true, a word without an underscore is not a name
 */
export function eventNameEnd(bytes: Uint8Array, start: number, end: number, underscore: boolean): number {
  const first = bytes[start] as number;
  if (start >= end || first < 0x61 || first > 0x7a) return -1;
  let seen = !underscore;
  let i = start + 1;
  for (; i < end && bytes[i] !== SPACE; i++) {
    if (bytes[i] === UNDERSCORE) seen = true;
    else if (!isNameByte(bytes[i] as number)) return -1;
  }
  return seen && i - start <= MAX_NAME ? i : -1;
}

/** Some names have upper-case letters in them: scsi_disk_emulate_command_SAI_16. */
export function isNameByte(byte: number): boolean {
  const letter = byte | 0x20;
  return byte === UNDERSCORE || isDigit(byte) || (letter >= 0x61 && letter <= 0x7a);
}

export function isRunExit(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start === RUN_EXIT.length && startsWith(bytes, start, end, RUN_EXIT);
}
