import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordingReader } from './formats/recording-format.js';
import type { RecordingFile } from './recording-file.js';

/** Bytes decoded between two pauses: about 70 lines, so that the replayed time advances in small steps. */
const STEP_BYTES = 8192;

/** Shows how far a replay has come. */
export interface EventClock {
  /** Time stamp of the latest event. */
  readonly lastTimeNs: number;
}

/** Ties time stamps to the monotonic clock: an event of `timeNs` is due at `atMs`. */
export interface ReplayStart {
  readonly atMs: number;
  readonly timeNs: number;
}

/** Reads a recording to its end at the speed of its own time stamps, or until `signal` is aborted. */
export async function replayPaced(
  recording: RecordingFile,
  reader: RecordingReader,
  clock: EventClock,
  start: ReplayStart,
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
