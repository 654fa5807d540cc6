/**
 * kvm_exit, which is another record on every architecture, and s390's kvm_s390_sie_exit -> the sink.
 *
 *   7b 00 00 00 .. .. .. .. 00 e0 0f 00 00 00 00 00 02 00 00 00 ...
 *   exit_reason 0x7b        guest_rip               isa 2 (SVM)       -> io
 *
 *   x86        exit_reason, isa (1 VMX, 2 SVM), info1, info2, vcpu_id (since 5.6)   arch/x86/kvm/trace.h
 *   arm64      ret, esr_ec                                                          arch/arm64/kvm/trace_arm.h
 *   riscv      scause                                                               arch/riscv/kvm/trace.h
 *   loongarch  reason                                                               arch/loongarch/kvm/trace.h
 *   s390       id (the vCPU), icptcode                                              arch/s390/kvm/trace.h
 *
 * x86 is recorded (6.1, 6.12, 6.18); the others follow the sources named. The record itself says which it is, by its fields.
 * Names of reasons are the running kernel's own, from the event's print fmt, under the label that the text decoder uses;
 * the built-in tables name what those leave out. Only x86 and s390 say which vCPU.
 * Not used: instruction pointers, intr_info, error_code, requests, stval, htval, the PSW.
 */
import type { EventFormat } from '../format/event-format.js';
import { exitReasonLabels, fieldLabels } from '../format/print-fmt.js';
import { fieldsEnd, readInt, readUnsigned } from '../format/record-field.js';
import { bindFields, hex, type ReaderBuilder, type RecordContext, type RecordReader } from '../format/record-reader.js';
import { canonicalReason, exitReasonLabel, riscvCauseLabel } from '../reasons/hardware.js';
import { ReasonInterner } from '../reasons/reason-interner.js';
import { vmxReasonLabel } from '../reasons/vmx-reason-label.js';

/** KVM_ISA_VMX; everything else is KVM_ISA_SVM, as in the kernel's own text. */
const ISA_VMX = 1;
/** ARM_EXCEPTION_TRAP, for a print fmt without its name. */
const ARM_TRAP = 2;

/** Whichever record of this name the kernel has. */
export function readKvmExit(format: EventFormat, context: RecordContext): RecordReader | undefined {
  for (const build of EXITS) {
    const reader = build(format, context);
    if (reader !== undefined) return reader;
  }
  return undefined;
}

const EXITS: readonly ReaderBuilder[] = [readX86Exit, readArm64Exit, readRiscvExit, readLoongarchExit];

function readX86Exit(format: EventFormat, { sink, vocabulary, bigEndian }: RecordContext): RecordReader | undefined {
  const fields = bindFields(format, bigEndian, 'exit_reason', 'isa', 'info1', 'info2', 'vcpu_id');
  const [exitReason, isa, info1, info2, vcpuId] = fields;
  if (exitReason === undefined) return undefined;
  const labels = exitReasonLabels(format.printFmt);
  const vmx = new ReasonInterner(vocabulary.reasons, (code) => canonicalReason(vmxReasonLabel(labels, code)));
  const svm = new ReasonInterner(vocabulary.reasons, (code) =>
    canonicalReason(labels.svm.get(code >>> 0) ?? exitReasonLabel('svm', code)),
  );
  const unknown = new ReasonInterner(vocabulary.reasons, hex);
  return {
    needed: fieldsEnd(fields),
    read: ({ view, timeNs }, record, _end, cpu, tid) => {
      // A kernel without `isa` (before 2.6.36) leaves open which table a number is from.
      const reasons = isa === undefined ? unknown : readInt(view, record, isa) === ISA_VMX ? vmx : svm;
      const vcpu = vcpuId === undefined ? -1 : readInt(view, record, vcpuId);
      const reason = reasons.id(readInt(view, record, exitReason));
      const first = info1 === undefined ? Number.NaN : readUnsigned(view, record, info1);
      const second = info2 === undefined ? Number.NaN : readUnsigned(view, record, info2);
      sink.vmExit(timeNs, cpu, tid, vcpu, reason, first, second);
    },
  };
}

/** `ret` says what kind of exit it is; only a TRAP has an exception class. */
function readArm64Exit(format: EventFormat, { sink, vocabulary, bigEndian }: RecordContext): RecordReader | undefined {
  const fields = bindFields(format, bigEndian, 'ret', 'esr_ec');
  const [ret, esrEc] = fields;
  if (ret === undefined || esrEc === undefined) return undefined;
  const kindLabels = fieldLabels(format.printFmt, 'ret');
  const classLabels = fieldLabels(format.printFmt, 'esr_ec');
  const trap = [...kindLabels].find(([, label]) => label === 'TRAP')?.[0] ?? ARM_TRAP;
  const kinds = new ReasonInterner(vocabulary.reasons, (code) => kindLabels.get(code) ?? hex(code));
  const classes = new ReasonInterner(
    vocabulary.reasons,
    (code) => classLabels.get(code) ?? exitReasonLabel('arm64', code),
  );
  return {
    needed: fieldsEnd(fields),
    read: ({ view, timeNs }, record, _end, cpu, tid) => {
      const kind = readInt(view, record, ret);
      const reason = kind === trap ? classes.id(readInt(view, record, esrEc)) : kinds.id(kind);
      sink.vmExit(timeNs, cpu, tid, -1, reason, Number.NaN, Number.NaN);
    },
  };
}

/** The top bit of scause says interrupt. A double can't hold that and the cause below, so they are read apart. */
function readRiscvExit(format: EventFormat, { sink, vocabulary, bigEndian }: RecordContext): RecordReader | undefined {
  const [scause] = bindFields(format, bigEndian, 'scause');
  if (scause === undefined || scause.size < 4) return undefined;
  const topWord = { offset: scause.offset + (bigEndian ? 0 : scause.size - 4), size: 4, littleEndian: !bigEndian };
  const mask = scause.size === 4 ? 0x7fffffff : -1;
  const exceptions = new ReasonInterner(vocabulary.reasons, (cause) => riscvCauseLabel(false, cause >>> 0));
  const interrupts = new ReasonInterner(vocabulary.reasons, (cause) => riscvCauseLabel(true, cause >>> 0));
  return {
    needed: fieldsEnd([scause]),
    read: ({ view, timeNs }, record, _end, cpu, tid) => {
      const causes = readInt(view, record, topWord) < 0 ? interrupts : exceptions;
      const reason = causes.id(readInt(view, record, scause) & mask);
      sink.vmExit(timeNs, cpu, tid, -1, reason, Number.NaN, Number.NaN);
    },
  };
}

function readLoongarchExit(
  format: EventFormat,
  { sink, vocabulary, bigEndian }: RecordContext,
): RecordReader | undefined {
  const [code] = bindFields(format, bigEndian, 'reason');
  if (code === undefined) return undefined;
  const labels = fieldLabels(format.printFmt, 'reason');
  const reasons = new ReasonInterner(vocabulary.reasons, (reason) => {
    return labels.get(reason) ?? exitReasonLabel('loongarch', reason);
  });
  return {
    needed: fieldsEnd([code]),
    read: ({ view, timeNs }, record, _end, cpu, tid) => {
      sink.vmExit(timeNs, cpu, tid, -1, reasons.id(readInt(view, record, code)), Number.NaN, Number.NaN);
    },
  };
}

export function readS390Exit(
  format: EventFormat,
  { sink, vocabulary, bigEndian }: RecordContext,
): RecordReader | undefined {
  const fields = bindFields(format, bigEndian, 'id', 'icptcode');
  const [id, icptcode] = fields;
  if (id === undefined || icptcode === undefined) return undefined;
  const reasons = new ReasonInterner(vocabulary.reasons, (code) => exitReasonLabel('s390', code));
  return {
    needed: fieldsEnd(fields),
    read: ({ view, timeNs }, record, _end, cpu, tid) => {
      const reason = reasons.id(readUnsigned(view, record, icptcode));
      sink.vmExit(timeNs, cpu, tid, readInt(view, record, id), reason, Number.NaN, Number.NaN);
    },
  };
}
