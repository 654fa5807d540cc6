import { type MalformedKind, UNKNOWN_LOSS } from '../../trace/sink.js';
import { addCount } from './counters.js';

/** What is counted about a source rather than about VMs. */
export class SourceCounts {
  /** Open and read. */
  up = true;
  /** Events decoded. */
  events = 0;
  /** Drains of the source, and the time they took. */
  drains = 0;
  drainSeconds = 0;
  /** Events known to be lost, by host CPU (-1: not of one CPU). */
  readonly lost = new Map<number, number>();
  /** Gaps of unknown size, by host CPU. */
  readonly unknownGaps = new Map<number, number>();
  /** Events lost by host CPU as the kernel's own statistics count them, where they are to be had. */
  overruns: ReadonlyMap<number, number> = new Map();
  /** Events lost in buffers that are closed, by host CPU: their statistics went with them. */
  readonly lostInClosedBuffers = new Map<number, number>();
  readonly malformed = new Map<MalformedKind, number>();

  addLost(cpu: number, count: number): void {
    if (count === UNKNOWN_LOSS) addCount(this.unknownGaps, cpu, 1);
    else addCount(this.lost, cpu, count);
  }

  /** The buffers are closed; those that come next count from 0. */
  endBuffers(): void {
    for (const [cpu, count] of this.overruns) {
      addCount(this.lostInClosedBuffers, cpu, Math.max(count, this.lost.get(cpu) ?? 0));
      this.lost.delete(cpu);
      this.unknownGaps.delete(cpu);
    }
    this.overruns = new Map();
  }

  addDrain(seconds: number): void {
    this.drains++;
    this.drainSeconds += seconds;
  }

  addMalformed(kind: MalformedKind): void {
    addCount(this.malformed, kind, 1);
  }
}
