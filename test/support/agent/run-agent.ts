import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import type { ReportData } from '../../../src/expose/report/report.js';
import { PROGRAM, PROGRAM_ARGS } from '../paths.js';

/** Runs the compiled program to its end. */
export function runAgent(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(PROGRAM, [...PROGRAM_ARGS, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
}

/** The parsed output of `report --format json`. Throws with the program's messages if it fails. */
export function reportOf(...args: string[]): ReportData {
  const { status, stdout, stderr } = runAgent('report', '--format', 'json', ...args);
  if (status !== 0) throw new Error(`report ${args.join(' ')} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}
