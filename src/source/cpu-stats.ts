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
      overruns.set(cpu, lostIn(readFileSync(join(instance, 'per_cpu', name, 'stats'), 'latin1')));
    }
  } catch {
    // The instance went; whoever reads the buffers says so.
  }
  return overruns;
}

function lostIn(stats: string): number {
  let lost = 0;
  for (const match of stats.matchAll(/^(?:overrun|dropped events): (\d+)$/gm)) lost += Number(match[1]);
  return lost;
}
