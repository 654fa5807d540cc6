import { performance } from 'node:perf_hooks';
import { onBeat } from '../system/timers/beat.js';
import { CpuTime } from './cpu-time.js';

/** Milliseconds between two measurements while there is work. 50 cost 0.1 % of a CPU, 10 cost three times as much. */
const RESOLUTION_MS = 50;
/** The same while there is none: each measurement wakes the process up, and an idle agent hardly does anything else. */
const IDLE_RESOLUTION_MS = 1000;
/** The same after so little work that it cannot add up to a stall. */
const CALM_RESOLUTION_MS = 2000;
const MAX_CALM_MS = 10;
const WINDOW_MS = 60_000;
/** How long the loop is measured often after work, and at first, as work may begin at once. */
const OFTEN_MS = 10_000;

interface Longest {
  /** Seconds by the clock. */
  stall: number;
  /** Seconds of CPU time; NaN if the kernel does not show it. */
  work: number;
}

/**
 * Measures how long the event loop was busy with one piece of work, so that it could neither drain ring buffers nor
 * answer health checks. A stall may be a wait: for a CPU that other programs have, for V8's other threads, or for a
 * file. The work is the CPU time that one piece took.
 *
 * An idle loop is measured seldom. Node.js shows how long it was busy since the last measurement: up to
 * {@link RESOLUTION_MS} is no stall, and more counts as one. If it was CPU time, the loop is measured often for a
 * while. If it was waiting, more measurements would only add to what a busy host has to do.
 *
 * Node's own figures (nodejs_eventloop_lag_*) are times between two measurements, so that a loop that never stalls has
 * a lag of one interval, and each scraper resets them for the next.
 */
export class EventLoopStalls {
  readonly #now: () => number;
  readonly #cpuTime: Pick<CpuTime, 'totalMs'>;
  #windowStartMs: number;
  #current: Longest;
  #previous: Longest;
  #measuredMs = performance.now();
  #activeMs = activeMs();
  #cpuMs: number;
  #intervalMs = RESOLUTION_MS;
  /** Time until which the loop is measured often. */
  #busyUntilMs: number;

  /** The arguments are for tests. */
  constructor(now = () => performance.now(), cpuTime: Pick<CpuTime, 'totalMs'> = new CpuTime(), beginMs = OFTEN_MS) {
    this.#now = now;
    this.#busyUntilMs = performance.now() + beginMs;
    this.#cpuTime = cpuTime;
    this.#cpuMs = cpuTime.totalMs();
    this.#windowStartMs = now();
    this.#current = this.#nothing();
    this.#previous = this.#nothing();
    this.#schedule();
  }

  /** The longest ones of the last one to two minutes, up to {@link RESOLUTION_MS} too short. */
  longest(): Readonly<Longest> {
    // A scrape may be answered within the turn of the loop that takes so long.
    if (performance.now() - this.#measuredMs > this.#intervalMs + RESOLUTION_MS) this.#measure();
    const { stall, work } = this.#current;
    const result = { stall: Math.max(stall, this.#previous.stall), work: Math.max(work, this.#previous.work) };
    if (this.#now() - this.#windowStartMs >= WINDOW_MS) {
      this.#previous = this.#current;
      this.#current = this.#nothing();
      this.#windowStartMs = this.#now();
    }
    return result;
  }

  #schedule(): void {
    setTimeout(() => {
      this.#measure();
      this.#schedule();
    }, this.#intervalMs).unref();
  }

  #measure(): void {
    const [nowMs, cpuMs, active] = [performance.now(), this.#cpuTime.totalMs(), activeMs()];
    const lateMs = nowMs - this.#measuredMs - this.#intervalMs;
    const busyMs = active - this.#activeMs;
    const isSeldom = this.#intervalMs > RESOLUTION_MS;
    const stallMs = isSeldom && busyMs > RESOLUTION_MS ? Math.max(lateMs, busyMs) : lateMs;
    const spentMs = cpuMs - this.#cpuMs;
    // Without CPU times, all of it may have been work.
    if (Math.min(busyMs, Number.isNaN(spentMs) ? busyMs : spentMs) > RESOLUTION_MS)
      this.#busyUntilMs = nowMs + OFTEN_MS;
    const seldomMs = busyMs > MAX_CALM_MS ? IDLE_RESOLUTION_MS : CALM_RESOLUTION_MS;
    this.#intervalMs = nowMs < this.#busyUntilMs ? RESOLUTION_MS : onBeat(seldomMs, 0, nowMs);
    const workMs = Math.min(stallMs, spentMs);
    this.#current.stall = Math.max(this.#current.stall, stallMs / 1000);
    this.#current.work = Math.max(this.#current.work, workMs / 1000);
    this.#measuredMs = nowMs;
    this.#activeMs = active;
    this.#cpuMs = cpuMs;
  }

  #nothing(): Longest {
    return { stall: 0, work: Number.isNaN(this.#cpuMs) ? Number.NaN : 0 };
  }
}

/** Milliseconds in which the event loop did not wait for events, since it began. */
function activeMs(): number {
  return performance.eventLoopUtilization().active;
}
