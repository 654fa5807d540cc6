/**
 * The clock that the kernel stamps our events with, and what it shows now: from `per_cpu/cpuN/stats` of the instance,
 *
 *   now ts:  2580.051023         seconds, rounded to a microsecond
 *
 * so that it is comparable with the stamps whatever the clock is, and in whatever time namespace this process lives.
 *
 * All CPUs must share the clock, as a vCPU's thread leaves its events on several. `mono` is shared always; `local`, each CPU's own, where it
 * is read from a counter that the kernel has found to run alike on all of them: then it is that counter, scaled. It spares the guests some
 * 50 ns an event (`mono` is called through a pointer and reads the timekeeper), which is more than half of what it takes to read an event.
 *
 * Source: trace_clock_local, kernel/trace/trace_clock.c; rb_time_stamp, kernel/trace/ring_buffer.c; tracing_stats_read, kernel/trace/trace.c
 * (3.x to 6.18). The kernel leaves the clock source `tsc` once it does not trust it any more (mark_tsc_unstable, arch/x86/kernel/tsc.c).
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from '../../system/errors.js';

export type TraceClockName = 'local' | 'mono';

/** Clock sources that `local` is read from, too, and that are one for all CPUs. */
const SHARED_COUNTERS = ['tsc', 'arch_sys_counter'];
const CLOCK_SOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';

/** The cheapest that is one for all CPUs. `clockSource`: the kernel's for its own clocks; undefined, and any that is not known, is a reason for `mono`. */
export function clockFor(clockSource = currentClockSource()): TraceClockName {
  return SHARED_COUNTERS.includes(clockSource?.trim() ?? '') ? 'local' : 'mono';
}

/** Whether this clock is one for all CPUs still. Where that can't be read just now, it is as it was. */
export function isStillShared(clock: TraceClockName, clockSource = currentClockSource()): boolean {
  return clock === 'mono' || clockSource === undefined || clockFor(clockSource) === clock;
}

/** Undefined where /sys is hidden from this process, or it has too many files open. */
function currentClockSource(): string | undefined {
  try {
    return readFileSync(CLOCK_SOURCE, 'latin1');
  } catch {
    return undefined;
  }
}

const ROUNDING_NS = 1000;
/** The file has some 200 bytes. */
const MAX_BYTES = 1024;

/** What the clock of an instance shows. Keeps a file open: a look costs one read, also while tracefs is unmounted. */
export class TraceClock {
  readonly #fd: number;
  readonly #text = Buffer.allocUnsafe(MAX_BYTES);

  /** @throws AgentError where the instance can't be read */
  constructor(instance: string) {
    const folder = join(instance, 'per_cpu');
    try {
      const [cpu = ''] = readdirSync(folder);
      this.#fd = openSync(join(folder, cpu, 'stats'), 'r');
    } catch (error) {
      throw fileError(folder, error);
    }
  }

  /** In nanoseconds; never later than it is. Infinity where the kernel does not say. */
  nowNs(): number {
    return parseNow(this.#text.toString('latin1', 0, readSync(this.#fd, this.#text, 0, MAX_BYTES, 0)));
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** From the content of a `stats` file. */
export function parseNow(text: string): number {
  const [, seconds, microseconds] = /^now ts: +(\d+)\.(\d{6})$/m.exec(text) ?? [];
  if (seconds === undefined) return Number.POSITIVE_INFINITY;
  return Number(seconds) * 1e9 + Number(microseconds) * 1e3 - ROUNDING_NS;
}
