/**
 * The payload of KVM's records -> calls of the sink, by tracepoint.
 *
 *   46 06 05 00  b5 00 00 00   common_type 1606, flags, preempt count, common_pid 181
 *   01 00 00 00  80 00 00 00   rw 1, port 0x80, size, count, val: at the offsets that the format file gives
 *
 * Fields are TP_STRUCT__entry in arch/x86/kvm/trace.h and include/trace/events/kvm.h (6.1, 6.12 and 6.18 recorded). Each
 * kernel's format file has the last word: an event whose fields are not known here counts as a tracepoint and no more.
 *
 *   kvm_exit, kvm_s390_sie_exit   see kvm-exit-record.ts
 *   kvm_entry           vcpu_id on x86, no vCPU elsewhere; kvm_s390_sie_enter: id; loongarch: kvm_enter, kvm_reenter
 *   kvm_userspace_exit  reason, errno: reason is stale where errno is negative
 *   kvm_pio             rw, port, size. kvm_mmio: type, gpa. kvm_fast_mmio: gpa
 *   print               ip, then the text of a trace_marker write: QEMU's ftrace backend
 *
 * Not used: kvm_nested_vmexit, loongarch's kvm_exit_idle and kvm_exit_cache, riscv's kvm_vcpu_exit (all of them second
 * records of an exit that kvm_exit has shown), values read or written.
 */
import { MMIO_WRITE, type MmioAccess } from '../../trace/sink.js';
import type { EventFormat } from '../format/event-format.js';
import { fieldLabels } from '../format/print-fmt.js';
import { fieldsEnd, readInt, readUnsigned } from '../format/record-field.js';
import { bindFields, type ReaderBuilder, type RecordContext, type RecordReader } from '../format/record-reader.js';
import { decodeQemuEventText } from '../qemu/event-text.js';
import { ReasonInterner } from '../reasons/reason-interner.js';
import { userspaceReasonLabel } from '../reasons/userspace.js';
import { indexOfByte } from '../text/bytes.js';
import { readKvmExit, readS390Exit } from './kvm-exit-record.js';

export const READER_BUILDERS: ReadonlyMap<string, ReaderBuilder> = new Map<string, ReaderBuilder>([
  ['kvm_exit', readKvmExit],
  ['kvm_s390_sie_exit', readS390Exit],
  ['kvm_entry', (format, context) => readEntry(format, context, 'vcpu_id')],
  ['kvm_enter', (format, context) => readEntry(format, context, 'vcpu_id')],
  ['kvm_reenter', (format, context) => readEntry(format, context, 'vcpu_id')],
  ['kvm_s390_sie_enter', (format, context) => readEntry(format, context, 'id')],
  ['kvm_userspace_exit', readUserspaceExit],
  ['kvm_pio', readPortIo],
  ['kvm_mmio', readMmio],
  ['kvm_fast_mmio', readFastMmio],
  ['kvm_msi_set_irq', readInterrupt],
  ['print', readMarker],
]);

/** EINTR, the same on every architecture: the kernel's text says `restart`. */
const EINTR = 4;

/** An entry is an entry even where it does not name its vCPU. */
function readEntry(format: EventFormat, { sink, bigEndian }: RecordContext, vcpuField: string): RecordReader {
  const [vcpuId] = bindFields(format, bigEndian, vcpuField);
  return {
    needed: fieldsEnd([vcpuId]),
    read: ({ view, timeNs }, record, _end, cpu, tid) => {
      sink.vmEntry(timeNs, cpu, tid, vcpuId === undefined ? -1 : readInt(view, record, vcpuId));
    },
  };
}

/** Whose thread injects it is all that counts. */
function readInterrupt(_format: EventFormat, { sink }: RecordContext): RecordReader {
  return { needed: 0, read: ({ timeNs }, _record, _end, cpu, tid) => sink.interrupt(timeNs, cpu, tid) };
}

function readUserspaceExit(
  format: EventFormat,
  { sink, vocabulary, bigEndian }: RecordContext,
): RecordReader | undefined {
  const fields = bindFields(format, bigEndian, 'reason', 'errno');
  const [reason, errno] = fields;
  if (reason === undefined || errno === undefined) return undefined;
  const labels = fieldLabels(format.printFmt, 'reason');
  const reasons = new ReasonInterner(vocabulary.reasons, (code) => {
    return labels.get(code >>> 0) ?? userspaceReasonLabel(code >>> 0);
  });
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
}

function readPortIo(format: EventFormat, { sink, bigEndian }: RecordContext): RecordReader | undefined {
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
}

function readMmio(format: EventFormat, { sink, bigEndian }: RecordContext): RecordReader | undefined {
  const fields = bindFields(format, bigEndian, 'type', 'gpa');
  const [type, gpa] = fields;
  if (type === undefined || gpa === undefined) return undefined;
  return {
    needed: fieldsEnd(fields),
    read: ({ view, timeNs }, record, _end, cpu, tid) => {
      const access = readInt(view, record, type);
      if (isMmioAccess(access)) sink.mmio(timeNs, cpu, tid, access, readUnsigned(view, record, gpa));
      else sink.malformed('record');
    },
  };
}

function readFastMmio(format: EventFormat, { sink, bigEndian }: RecordContext): RecordReader | undefined {
  const [gpa] = bindFields(format, bigEndian, 'gpa');
  if (gpa === undefined) return undefined;
  return {
    needed: fieldsEnd([gpa]),
    read: ({ view, timeNs }, record, _end, cpu, tid) => {
      sink.fastMmio(timeNs, cpu, tid, readUnsigned(view, record, gpa));
    },
  };
}

/** Anyone may write to trace_marker: text that is not QEMU's is none of our business and no error. */
function readMarker(format: EventFormat, { sink, vocabulary }: RecordContext): RecordReader | undefined {
  const text = format.fields.find(({ name }) => name === 'buf');
  if (text === undefined) return undefined;
  return {
    needed: text.offset,
    read: ({ bytes, timeNs }, record, end, _cpu, tid) => {
      const start = record + text.offset;
      // The kernel ends the text with a NUL and fills up to a whole word; QEMU ends it with a newline.
      let last = indexOfByte(bytes, start, end, 0);
      if (last < 0) last = end;
      if (last > start && bytes[last - 1] === 0x0a) last--;
      decodeQemuEventText(bytes, start, last, timeNs, tid, vocabulary, sink);
    },
  };
}

function isMmioAccess(type: number): type is MmioAccess {
  return type >= 0 && type <= MMIO_WRITE;
}
