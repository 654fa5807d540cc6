/**
 * Lines that report lost events.
 *
 *   CPU:1 [LOST 1472 EVENTS]          trace_pipe, `trace`
 *   CPU:1 [LOST EVENTS]               the same, if the kernel does not know the number
 *   CPU:1 [1472 EVENTS DROPPED]       trace-cmd report
 *   CPU 0/KVM   300 [000]    55.443771: PERF_RECORD_LOST lost 119      perf script --show-lost-events
 *
 * Source: kernel/trace/trace.c (Linux 6.18), trace-cmd 3.1 (tracecmd/trace-read.c), perf 6.1.
 */
import { reportLoss } from '../../trace/report-loss.js';
import { type TraceSink, UNKNOWN_LOSS } from '../../trace/sink.js';
import { ascii, decimal, indexOf, indexOfByte, isDigit, skipDigits, skipSpaces, startsWith } from '../text/bytes.js';

const CPU = ascii('CPU:');
const LOST = ascii('LOST');
const EVENTS = ascii('EVENTS');
const PERF_LOST = ascii('PERF_RECORD_LOST lost ');
const OPEN_BRACKET = 0x5b;
/** More CPUs than a kernel can have. */
const MAX_CPU = 0xffff;

/** Start of `CPU:1 [LOST ...`, which other programs may have put a prefix before; `start` if there is none. */
export function lossStart(bytes: Uint8Array, start: number, end: number): number {
  const at = indexOf(bytes, start, end, CPU);
  return at < 0 || !isDigit(bytes[at + CPU.length]) ? start : at;
}

/** Reports the loss that a line announces. False if `bytes[start, end)` is no such line. */
export function reportLossLine(bytes: Uint8Array, start: number, end: number, sink: TraceSink): boolean {
  return startsWith(bytes, start, end, CPU)
    ? reportOfCpu(bytes, start, end, sink)
    : reportOfPerf(bytes, start, end, sink);
}

/** True if a line seems to announce a loss, whether {@link reportLossLine} understands it or not. */
export function isLossLike(bytes: Uint8Array, start: number, end: number): boolean {
  return startsWith(bytes, start, end, CPU) && indexOf(bytes, start, end, EVENTS) >= 0;
}

function reportOfPerf(bytes: Uint8Array, start: number, end: number, sink: TraceSink): boolean {
  const at = indexOf(bytes, start, end, PERF_LOST);
  const count = at < 0 ? -1 : decimal(bytes, at + PERF_LOST.length, end);
  if (count <= 0) return false;
  const bracket = indexOfByte(bytes, start, at, OPEN_BRACKET);
  const cpu = bracket < 0 ? -1 : decimal(bytes, bracket + 1, at);
  reportLoss(sink, cpu > MAX_CPU ? -1 : cpu, count, 'line');
  return true;
}

function reportOfCpu(bytes: Uint8Array, start: number, end: number, sink: TraceSink): boolean {
  const cpuStart = start + CPU.length;
  const open = skipSpaces(bytes, skipDigits(bytes, cpuStart, end), end);
  let at = open + 1;
  if (startsWith(bytes, at, end, LOST)) at = skipSpaces(bytes, at + LOST.length, end);
  const known = isDigit(bytes[at]);
  const words = known ? skipSpaces(bytes, skipDigits(bytes, at, end), end) : at;
  const cpu = decimal(bytes, cpuStart, end);
  const count = known ? decimal(bytes, at, end) : UNKNOWN_LOSS;
  const isLoss = open < end && bytes[open] === OPEN_BRACKET && startsWith(bytes, words, end, EVENTS);
  if (!isLoss || cpu < 0 || cpu > MAX_CPU) return false;
  reportLoss(sink, cpu, count, 'line');
  return true;
}
