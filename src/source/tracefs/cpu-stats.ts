/**
 * Counts of the ring buffer itself, from `per_cpu/cpuN/stats`:
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
import { join } from 'node:path';
import { tryListFolder, tryReadText } from '../../system/files.js';

/** Events lost on each CPU since the buffers were made. A CPU whose file cannot be read is left out. */
export function readOverruns(instance: string): Map<number, number> {
  return lostByCpu(join(instance, 'per_cpu'), 'stats');
}

/**
 * Events lost on each CPU as `record` (stats/cpuN) or a copy of tracefs (per_cpu/cpuN/stats) saved them; empty if
 * neither did.
 */
export function readSavedOverruns(recording: string): Map<number, number> {
  const recorded = lostByCpu(join(recording, 'stats'), '');
  const copied = lostByCpu(join(recording, 'per_cpu'), 'stats');
  return new Map([...copied, ...recorded]);
}

function lostByCpu(folder: string, file: string): Map<number, number> {
  const lost = new Map<number, number>();
  for (const name of tryListFolder(folder)) {
    const cpu = Number(/^cpu(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    const stats = Number.isNaN(cpu) ? undefined : tryReadText(join(folder, name, file));
    if (stats !== undefined) lost.set(cpu, parseStats(stats).lost);
  }
  return lost;
}

export interface CpuStats {
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
export function parseStats(text: string): CpuStats {
  const count = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  return {
    entries: count('entries'),
    bytes: count('bytes'),
    read: count('read events'),
    lost: count('overrun') + count('dropped events'),
  };
}
