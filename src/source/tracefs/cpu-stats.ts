/**
 * Loss as the ring buffer itself counts it, `per_cpu/cpuN/stats`:
 *
 *   entries: 129
 *   overrun: 7025                events overwritten before anybody read them
 *   commit overrun: 0
 *   bytes: 6540
 *   oldest event ts:  2577.821372
 *   now ts:  2580.051023
 *   dropped events: 0            new events refused (no-overwrite mode)
 *   read events: 2853
 *
 * Source: tracing_stats_read, kernel/trace/trace.c (3.x to 6.18).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Events lost on each CPU since the buffers were made. A CPU whose file can't be read is left out. */
export function readOverruns(instance: string): Map<number, number> {
  const overruns = new Map<number, number>();
  try {
    for (const name of readdirSync(join(instance, 'per_cpu'))) {
      const cpu = Number(name.slice('cpu'.length));
      overruns.set(cpu, parseStats(readFileSync(join(instance, 'per_cpu', name, 'stats'), 'latin1')).lost);
    }
  } catch {
    // The instance went; whoever reads the buffers says so.
  }
  return overruns;
}

export interface CpuStats {
  /** Events that wait to be read, and how many bytes they take. */
  readonly entries: number;
  readonly bytes: number;
  /** Events that were read. */
  readonly read: number;
  /** Events overwritten or refused. */
  readonly lost: number;
}

/** The content of a `stats` file; what it does not say counts as 0. */
export function parseStats(text: string): CpuStats {
  const of = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  return {
    entries: of('entries'),
    bytes: of('bytes'),
    read: of('read events'),
    lost: of('overrun') + of('dropped events'),
  };
}

/** Events lost on each CPU as `record` or a copy of tracefs has saved it; empty where neither did. */
export function readSavedOverruns(recording: string): Map<number, number> {
  const overruns = new Map<number, number>();
  for (const [folder, file] of [
    ['stats', ''],
    ['per_cpu', 'stats'],
  ] as const) {
    for (const name of namesIn(join(recording, folder))) {
      const cpu = Number(/^cpu(\d+)$/.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(cpu) || overruns.has(cpu)) continue;
      try {
        overruns.set(cpu, parseStats(readFileSync(join(recording, folder, name, file), 'latin1')).lost);
      } catch {
        // Not saved for this CPU.
      }
    }
  }
  return overruns;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
