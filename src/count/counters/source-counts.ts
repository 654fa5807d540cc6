import { type MalformedKind, UNKNOWN_LOSS } from '../../trace/sink.js';
import { addCount } from './counters.js';

/** Counts about a source itself: its state, its events, and what was lost or malformed. */
export class SourceCounts {
  /** True while the source is open and being read. */
  up = true;
  /** Events decoded. */
  events = 0;
  /** Number of drains: reads of everything that is buffered. */
  drains = 0;
  /** Time spent in drains. */
  drainSeconds = 0;
  /** Events known to be lost, by host CPU; -1: CPU unknown. */
  readonly lost = new Map<number, number>();
  /** Gaps of unknown size, by host CPU. */
  readonly unknownGaps = new Map<number, number>();
  /** Events lost by host CPU, by the kernel's own statistics; empty if there are none. */
  overruns: ReadonlyMap<number, number> = new Map();
  /** Events lost by host CPU in buffers that were closed or emptied, and whose statistics are gone. */
  readonly lostInClosedBuffers = new Map<number, number>();
  readonly malformed = new Map<MalformedKind, number>();

  addLost(cpu: number, count: number): void {
    if (count === UNKNOWN_LOSS) addCount(this.unknownGaps, cpu, 1);
    // Beyond that, a double has no room for the next single event.
    else this.lost.set(cpu, Math.min(Number.MAX_SAFE_INTEGER, (this.lost.get(cpu) ?? 0) + count));
  }

  /** Takes the kernel's present statistics over. Those of a buffer that another program emptied start at 0 again. */
  updateOverruns(overruns: ReadonlyMap<number, number>): void {
    for (const [cpu, count] of this.overruns) if ((overruns.get(cpu) ?? count) < count) this.#endBuffer(cpu, count);
    this.overruns = overruns;
  }

  /** Call it when buffers were closed: the statistics of new ones start at 0. */
  endBuffers(): void {
    for (const [cpu, count] of this.overruns) this.#endBuffer(cpu, count);
    this.overruns = new Map();
  }

  /** A number that changes whenever something is lost or cannot be decoded. */
  get losses(): number {
    let sum = 0;
    for (const counts of [this.lost, this.unknownGaps, this.overruns, this.lostInClosedBuffers, this.malformed])
      for (const count of counts.values()) sum += count;
    return sum;
  }

  addDrain(seconds: number): void {
    this.drains++;
    this.drainSeconds += seconds;
  }

  addMalformed(kind: MalformedKind): void {
    addCount(this.malformed, kind, 1);
  }

  #endBuffer(cpu: number, overrun: number): void {
    addCount(this.lostInClosedBuffers, cpu, Math.max(overrun, this.lost.get(cpu) ?? 0));
    this.lost.delete(cpu);
    this.unknownGaps.delete(cpu);
  }
}
