/**
 * The text that KVM's tracepoints print, by tracepoint. One scanner each; false means that the text is not what the
 * kernel prints, and nothing was reported.
 *
 *   kvm_exit            vcpu 0 reason npf rip 0xe05b info1 0x0000000100000014 info2 0x00000000000fe05b intr_info ...
 *     to Linux 5.9      vcpu 0 reason EPT_VIOLATION rip 0xfffff info 181 0    (no "vcpu %u" before 5.6)
 *     trace-cmd         reason EXIT_NPF rip 0xe05b info 100000014 fe05b
 *     arm64             TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x0000000040080000
 *     riscv             SEPC:0x80200000, SCAUSE:0xa, STVAL:0x0, HTVAL:0x0, HTINST:0x0
 *     loongarch         [IDLE]PC: 0x9000000000222000
 *   kvm_s390_sie_exit   00[0000000180000000-000000000011a4c0]: exit sie icptcode 4 (Instruction)
 *   kvm_entry           vcpu 0, rip 0xfff0
 *   kvm_userspace_exit  reason KVM_EXIT_IO (2)  |  reason restart (4)  |  reason error (11)
 *   kvm_pio             pio_write at 0x80 size 1 count 1 val 0x78
 *   kvm_mmio            mmio write len 4 gpa 0xfed00000 val 0x0
 *   kvm_fast_mmio       fast mmio at gpa 0xfe000000
 *   kvm_msi_set_irq     dst 0 vec 37 (Fixed|physical|edge)
 *
 * Source: TP_printk in arch/x86/kvm/trace.h, include/trace/events/kvm.h, arch/{arm64,s390,riscv,loongarch}/kvm/trace*.h.
 * A reason ends at " rip ", not at a blank: SVM has "UD excp", VMX appends " FAILED_VMENTRY". The number behind `restart`
 * and `error` is an errno, so the word decides.
 * Not used: kvm_nested_vmexit (a second line for an exit that kvm_exit has shown), values read or written.
 */
import { MMIO_READ, MMIO_UNSATISFIED_READ, MMIO_WRITE, type TraceSink } from '../../trace/sink.js';
import type { ReasonText } from '../reasons/from-text.js';
import { ascii, decimal, hexadecimal, indexOf, indexOfByte, isDigit, skipDigits, startsWith } from '../text/bytes.js';
import type { FtraceLine } from '../text/ftrace-line.js';

/** Scans `bytes[line.argsStart, end)` and reports what it says. */
export type KvmTextScanner = (
  bytes: Uint8Array,
  end: number,
  line: FtraceLine,
  reasons: ReasonText,
  sink: TraceSink,
) => boolean;

export const KVM_TEXT_SCANNERS: ReadonlyMap<string, KvmTextScanner> = new Map<string, KvmTextScanner>([
  ['kvm_exit', scanExit],
  ['kvm_entry', scanEntry],
  ['kvm_userspace_exit', scanUserspaceExit],
  ['kvm_pio', scanPio],
  ['kvm_mmio', scanMmio],
  ['kvm_fast_mmio', scanFastMmio],
  ['kvm_msi_set_irq', scanInterrupt],
  ['kvm_s390_sie_exit', scanSieExit],
  ['kvm_s390_sie_enter', scanSieEnter],
  // loongarch's entries. Its kvm_exit_idle and kvm_exit_cache come after the kvm_exit of the same exit: not counted again.
  ['kvm_enter', scanEntry],
  ['kvm_reenter', scanEntry],
]);

const VCPU = ascii('vcpu ');
const REASON = ascii('reason ');
const RIP = ascii(' rip ');
const INFO1 = ascii(' info1 ');
const INFO2 = ascii(' info2 ');
const INFO = ascii(' info ');
const BLANK = ascii(' ');
const HSR_EC = ascii(': HSR_EC: ');
const TRAP = ascii('TRAP');
const SCAUSE = ascii('SCAUSE:');
const SEPC = ascii('SEPC:');
const PC = ascii('PC: ');
const ICPTCODE = ascii('exit sie icptcode ');
const RESTART = ascii('restart');
const ERROR = ascii('error');
const PIO_WRITE = ascii('pio_write at ');
const PIO_READ = ascii('pio_read at ');
const SIZE = ascii(' size ');
const MMIO_WORDS = [
  [ascii('mmio unsatisfied-read '), MMIO_UNSATISFIED_READ],
  [ascii('mmio read '), MMIO_READ],
  [ascii('mmio write '), MMIO_WRITE],
] as const;
const GPA = ascii('gpa ');
const OPEN = 0x5b;
const CLOSE = 0x5d;
const OPEN_PAREN = 0x28;
const CLOSE_PAREN = 0x29;

function scanExit(bytes: Uint8Array, end: number, line: FtraceLine, reasons: ReasonText, sink: TraceSink): boolean {
  const start = line.argsStart;
  if (startsWith(bytes, start, end, VCPU) || startsWith(bytes, start, end, REASON))
    return scanX86Exit(bytes, end, line, reasons, sink);
  if (startsWith(bytes, start, end, SEPC)) return scanRiscvExit(bytes, end, line, reasons, sink);
  if (bytes[start] === OPEN) return scanLoongarchExit(bytes, end, line, reasons, sink);
  return scanArm64Exit(bytes, end, line, reasons, sink);
}

function scanX86Exit(bytes: Uint8Array, end: number, line: FtraceLine, reasons: ReasonText, sink: TraceSink): boolean {
  let at = line.argsStart;
  let vcpu = -1;
  if (startsWith(bytes, at, end, VCPU)) {
    vcpu = decimal(bytes, at + VCPU.length, end);
    at = indexOf(bytes, at, end, REASON);
  }
  if (at < 0 || !startsWith(bytes, at, end, REASON)) return false;
  const from = at + REASON.length;
  const to = indexOf(bytes, from, end, RIP);
  if (to <= from) return false;
  const reason = reasons.x86(bytes, from, to);
  let info1 = numberAfter(bytes, to, end, INFO1);
  let info2 = Number.NaN;
  if (!Number.isNaN(info1)) {
    info2 = numberAfter(bytes, to, end, INFO2);
  } else {
    info1 = numberAfter(bytes, to, end, INFO);
    const info = indexOf(bytes, to, end, INFO) + INFO.length;
    if (!Number.isNaN(info1)) info2 = numberAfter(bytes, info, end, BLANK);
  }
  sink.vmExit(line.timeNs, line.cpu, line.tid, vcpu, reason, info1, info2);
  return true;
}

/** First word is the exit's class; only a TRAP has an exception class, in brackets. */
function scanArm64Exit(
  bytes: Uint8Array,
  end: number,
  line: FtraceLine,
  reasons: ReasonText,
  sink: TraceSink,
): boolean {
  const ec = indexOf(bytes, line.argsStart, end, HSR_EC);
  if (ec <= line.argsStart) return false;
  let from = line.argsStart;
  let to = ec;
  if (startsWith(bytes, from, end, TRAP)) {
    from = indexOfByte(bytes, ec, end, OPEN_PAREN) + 1;
    to = from <= 0 ? -1 : indexOfByte(bytes, from, end, CLOSE_PAREN);
    if (to <= from) return false;
  }
  sink.vmExit(line.timeNs, line.cpu, line.tid, -1, reasons.arm64(bytes, from, to), Number.NaN, Number.NaN);
  return true;
}

function scanRiscvExit(
  bytes: Uint8Array,
  end: number,
  line: FtraceLine,
  reasons: ReasonText,
  sink: TraceSink,
): boolean {
  const at = indexOf(bytes, line.argsStart, end, SCAUSE);
  if (at < 0) return false;
  const from = at + SCAUSE.length;
  if (hexadecimal(bytes, from, end) < 0) return false;
  let to = from;
  while (to < end && bytes[to] !== 0x2c && bytes[to] !== 0x20) to++;
  sink.vmExit(line.timeNs, line.cpu, line.tid, -1, reasons.riscv(bytes, from, to), Number.NaN, Number.NaN);
  return true;
}

function scanLoongarchExit(
  bytes: Uint8Array,
  end: number,
  line: FtraceLine,
  reasons: ReasonText,
  sink: TraceSink,
): boolean {
  if (bytes[line.argsStart] !== OPEN) return false;
  const from = line.argsStart + 1;
  const to = indexOfByte(bytes, from, end, CLOSE);
  if (to <= from) return false;
  sink.vmExit(line.timeNs, line.cpu, line.tid, -1, reasons.plain(bytes, from, to), Number.NaN, Number.NaN);
  return true;
}

/** s390 has no kvm_exit; the number before the PSW is the vCPU. */
function scanSieExit(bytes: Uint8Array, end: number, line: FtraceLine, reasons: ReasonText, sink: TraceSink): boolean {
  const at = indexOf(bytes, line.argsStart, end, ICPTCODE);
  const code = at < 0 ? -1 : decimal(bytes, at + ICPTCODE.length, end);
  if (code < 0) return false;
  const vcpu = decimal(bytes, line.argsStart, end);
  sink.vmExit(line.timeNs, line.cpu, line.tid, vcpu, reasons.s390(code), Number.NaN, Number.NaN);
  return true;
}

function scanSieEnter(
  bytes: Uint8Array,
  end: number,
  line: FtraceLine,
  _reasons: ReasonText,
  sink: TraceSink,
): boolean {
  const vcpu = decimal(bytes, line.argsStart, end);
  if (vcpu < 0) return false;
  sink.vmEntry(line.timeNs, line.cpu, line.tid, vcpu);
  return true;
}

/** `vcpu 0, rip ...` on x86, `PC: 0x...` elsewhere, which names no vCPU. */
function scanEntry(bytes: Uint8Array, end: number, line: FtraceLine, _reasons: ReasonText, sink: TraceSink): boolean {
  if (startsWith(bytes, line.argsStart, end, VCPU)) {
    const vcpu = decimal(bytes, line.argsStart + VCPU.length, end);
    if (vcpu < 0) return false;
    sink.vmEntry(line.timeNs, line.cpu, line.tid, vcpu);
    return true;
  }
  if (!startsWith(bytes, line.argsStart, end, PC)) return false;
  sink.vmEntry(line.timeNs, line.cpu, line.tid, -1);
  return true;
}

function scanUserspaceExit(
  bytes: Uint8Array,
  end: number,
  line: FtraceLine,
  reasons: ReasonText,
  sink: TraceSink,
): boolean {
  if (!startsWith(bytes, line.argsStart, end, REASON)) return false;
  const word = line.argsStart + REASON.length;
  const open = indexOfByte(bytes, word, end, OPEN_PAREN);
  if (open < 0) return false;
  const close = skipDigits(bytes, open + 1, end);
  if (close === open + 1 || bytes[close] !== CLOSE_PAREN) return false;
  let reason: number;
  if (startsWith(bytes, word, end, RESTART)) reason = reasons.restart;
  else if (startsWith(bytes, word, end, ERROR)) reason = reasons.error;
  else reason = reasons.userspace(decimal(bytes, open + 1, close));
  sink.userspaceExit(line.timeNs, line.cpu, line.tid, reason);
  return true;
}

function scanPio(bytes: Uint8Array, end: number, line: FtraceLine, _reasons: ReasonText, sink: TraceSink): boolean {
  const write = startsWith(bytes, line.argsStart, end, PIO_WRITE);
  if (!write && !startsWith(bytes, line.argsStart, end, PIO_READ)) return false;
  const port = hexadecimal(bytes, line.argsStart + (write ? PIO_WRITE.length : PIO_READ.length), end);
  const size = indexOf(bytes, line.argsStart, end, SIZE);
  if (port < 0 || size < 0 || !isDigit(bytes[size + SIZE.length])) return false;
  sink.portIo(line.timeNs, line.cpu, line.tid, write, port, decimal(bytes, size + SIZE.length, end));
  return true;
}

function scanMmio(bytes: Uint8Array, end: number, line: FtraceLine, _reasons: ReasonText, sink: TraceSink): boolean {
  for (const [word, access] of MMIO_WORDS) {
    if (!startsWith(bytes, line.argsStart, end, word)) continue;
    const gpa = numberAfter(bytes, line.argsStart, end, GPA);
    if (Number.isNaN(gpa)) return false;
    sink.mmio(line.timeNs, line.cpu, line.tid, access, gpa);
    return true;
  }
  return false;
}

function scanFastMmio(
  bytes: Uint8Array,
  end: number,
  line: FtraceLine,
  _reasons: ReasonText,
  sink: TraceSink,
): boolean {
  const gpa = numberAfter(bytes, line.argsStart, end, GPA);
  if (Number.isNaN(gpa)) return false;
  sink.fastMmio(line.timeNs, line.cpu, line.tid, gpa);
  return true;
}

/** The hexadecimal number behind `word`, NaN where there is none. */
function numberAfter(bytes: Uint8Array, start: number, end: number, word: Uint8Array): number {
  const at = indexOf(bytes, start, end, word);
  if (at < 0) return Number.NaN;
  const value = hexadecimal(bytes, at + word.length, end);
  return value < 0 ? Number.NaN : value;
}

/** Whose thread injects it is all that counts. */
function scanInterrupt(
  _bytes: Uint8Array,
  _end: number,
  line: FtraceLine,
  _reasons: ReasonText,
  sink: TraceSink,
): boolean {
  sink.interrupt(line.timeNs, line.cpu, line.tid);
  return true;
}
