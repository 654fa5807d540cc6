import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import type { ReportData } from '../../../src/expose/report/report.js';
import { MAIN } from '../paths.js';

export function runAgent(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
}

/** `report --format json` of files, as data. Throws with the program's own words where it fails. */
export function reportOf(...args: string[]): ReportData {
  const { status, stdout, stderr } = runAgent('report', '--format', 'json', ...args);
  if (status !== 0) throw new Error(`report ${args.join(' ')} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}
