/**
 * The clock that stamps our events, and its present time, which `per_cpu/cpuN/stats` of the instance shows:
 *
 *   now ts:  2580.051023         seconds, rounded to a microsecond
 *
 * Read there, the time is comparable with the stamps whatever the clock is, and whatever time namespace this process
 * runs in.
 *
 * All CPUs must share the clock, because the thread of a vCPU leaves its events on several. `mono` is always shared.
 * `local` is each CPU's own clock, but it is shared too if the kernel reads it from a counter that runs alike on all
 * CPUs: then it is that counter, scaled. It saves the guests about 50 ns per event (`mono` is called through a pointer
 * and reads the timekeeper), which is more than half of what reading an event costs.
 *
 * Source: trace_clock_local, kernel/trace/trace_clock.c; rb_time_stamp, kernel/trace/ring_buffer.c; tracing_stats_read,
 * kernel/trace/trace.c (3.x to 6.18). The kernel leaves the clock source `tsc` when it stops trusting it
 * (mark_tsc_unstable, arch/x86/kernel/tsc.c).
 */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from '../../system/errors.js';
import { tryReadText } from '../../system/files.js';

export type TraceClockName = 'local' | 'mono';

/** Clock sources that all CPUs share and that `local` is read from. */
const SHARED_COUNTERS = ['tsc', 'arch_sys_counter'];
const CLOCK_SOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';

/**
 * The cheapest clock that all CPUs share. `clockSource` is what the kernel uses; if unknown or undefined, the result is
 * `mono`.
 */
export function clockFor(clockSource = currentClockSource()): TraceClockName {
  return SHARED_COUNTERS.includes(clockSource?.trim() ?? '') ? 'local' : 'mono';
}

/** True if all CPUs still share this clock. A clock source that cannot be read now is assumed to be unchanged. */
export function isStillShared(clock: TraceClockName, clockSource = currentClockSource()): boolean {
  return clock === 'mono' || clockSource === undefined || clockFor(clockSource) === clock;
}

/** Undefined if /sys is hidden from this process, or too many files are open. */
function currentClockSource(): string | undefined {
  return tryReadText(CLOCK_SOURCE);
}

const ROUNDING_NS = 1000;
/** A read takes some 20 us. */
const MAX_READ_MS = 1;
const MAX_READS = 4;
/** Longer than a `stats` file, which has about 200 bytes. */
const MAX_BYTES = 1024;

/**
 * The present time of an instance's clock. Keeps a file open, so that a look costs one read and works while tracefs is
 * unmounted.
 */
export class TraceClock {
  readonly #fd: number;
  readonly #text = Buffer.allocUnsafe(MAX_BYTES);

  /** @throws AgentError if the instance cannot be read */
  constructor(instance: string) {
    const folder = join(instance, 'per_cpu');
    try {
      const [cpu = ''] = readdirSync(folder);
      this.#fd = openSync(join(folder, cpu, 'stats'), 'r');
    } catch (error) {
      throw fileError(folder, error);
    }
  }

  /** Nanoseconds, never later than the clock shows; Infinity if the kernel does not say. */
  nowNs(): number {
    return parseNow(this.#text.toString('latin1', 0, readSync(this.#fd, this.#text, 0, MAX_BYTES, 0)));
  }

  /**
   * The present time, and the time of the caller's clock at time 0 of this one, in milliseconds; NaN if the kernel does
   * not say. Reads again if something ran between the two clocks, which on a busy host may take long.
   */
  compare(nowMs: () => number): { readonly nowNs: number; readonly offsetMs: number } {
    let [nowNs, offsetMs, shortestMs] = [0, Number.NaN, Number.POSITIVE_INFINITY];
    for (let reads = 0; reads < MAX_READS && shortestMs > MAX_READ_MS; reads++) {
      const beforeMs = nowMs();
      nowNs = this.nowNs();
      const afterMs = nowMs();
      if (afterMs - beforeMs >= shortestMs) continue;
      shortestMs = afterMs - beforeMs;
      offsetMs = Number.isFinite(nowNs) ? afterMs - nowNs / 1e6 : Number.NaN;
    }
    return { nowNs, offsetMs };
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Nanoseconds from the content of a `stats` file; Infinity if it has no `now ts` in seconds. */
export function parseNow(text: string): number {
  const [, seconds, microseconds] = /^now ts: +(\d+)\.(\d{6})$/m.exec(text) ?? [];
  if (seconds === undefined) return Number.POSITIVE_INFINITY;
  return Number(seconds) * 1e9 + Number(microseconds) * 1e3 - ROUNDING_NS;
}
