/**
 * The kernel's clock and ours. Our instance stamps events by CLOCK_MONOTONIC of the host, which a time namespace shifts for
 * the processes in it: `/proc/self/timens_offsets` says by how much (time_namespaces(7), Linux 5.6 and later):
 *
 *   monotonic         -100         0        seconds and nanoseconds, to be added to the host's
 *   boottime             0         0
 */
import { readFileSync } from 'node:fs';

/** Nanoseconds; does not change while a process runs. */
const OFFSET_NS = parseOffset(readOffsets());

/** CLOCK_MONOTONIC of the host, in nanoseconds: to compare with the time stamps of the kernel's trace. */
export function monotonicNs(): number {
  return Number(process.hrtime.bigint()) - OFFSET_NS;
}

/** The shift of CLOCK_MONOTONIC in nanoseconds, 0 where the text does not tell. */
export function parseOffset(text: string): number {
  const [, seconds, nanoseconds] = /^monotonic\s+(-?\d+)\s+(\d+)$/m.exec(text) ?? [];
  return seconds === undefined ? 0 : Number(seconds) * 1e9 + Number(nanoseconds);
}

function readOffsets(): string {
  try {
    return readFileSync('/proc/self/timens_offsets', 'latin1');
  } catch {
    return ''; // a kernel without time namespaces
  }
}
