import { setTimeout as sleep } from 'node:timers/promises';
import type { Recording } from './open-file.js';
import type { RecordingReader } from './replay-file.js';

/** Bytes decoded at once: some 70 lines, so that the replayed time advances in small steps. */
const STEP_BYTES = 8192;

/** Whoever takes the events knows how far their clock has come. */
export interface Clock {
  /** Time of the latest event. */
  readonly lastTimeNs: number;
}

/** Moment of the monotonic clock at which an event of this time is due. */
export interface Start {
  readonly atMs: number;
  readonly timeNs: number;
}

/** Reads a recording to its end at the speed of its own time stamps, or until told to stop. */
export async function play(
  recording: Recording,
  reader: RecordingReader,
  clock: Clock,
  start: Start,
  signal: AbortSignal,
): Promise<void> {
  const chunks = recording.chunks();
  for (;;) {
    const next = await chunks.next();
    if (next.done === true) return reader.end(next.value);
    for (let from = 0; from < next.value.length; from += STEP_BYTES) {
      reader.push(next.value.subarray(from, from + STEP_BYTES));
      const dueMs = start.atMs + (clock.lastTimeNs - start.timeNs) / 1e6;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return void chunks.return('whole');
    }
  }
}
