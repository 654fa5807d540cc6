/** Events lost on each CPU, by the statistics of its ring buffer. */
import { join } from 'node:path';
import { parseStats } from '../../decode/ftrace/buffer-stats.js';
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
