/**
 * Counts of a ring buffer itself, from `per_cpu/cpuN/stats`:
 *
 *   entries: 129
 *   overrun: 7025                events overwritten before they were read
 *   commit overrun: 0
 *   bytes: 6540
 *   oldest event ts:  2577.821372
 *   now ts:  2580.051023
 *   dropped events: 0            new events refused (no-overwrite mode)
 *   read events: 2853
 *
 * Source: tracing_stats_read, kernel/trace/trace.c (3.x to 6.18).
 */

export interface BufferStats {
  /** Events that wait in the buffer to be read. */
  readonly entries: number;
  /** Bytes of those events. */
  readonly bytes: number;
  /** Events that were read. */
  readonly read: number;
  /** Events that were overwritten or refused. */
  readonly lost: number;
}

/** Parses a `stats` file; a count that it does not have is 0. */
export function parseStats(text: string): BufferStats {
  const count = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  return {
    entries: count('entries'),
    bytes: count('bytes'),
    read: count('read events'),
    lost: count('overrun') + count('dropped events'),
  };
}
