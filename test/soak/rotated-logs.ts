/**
 * Two logs that are written by separate processes and rotated as logrotate does: one by renaming, one by copying and
 * truncating.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { endLater } from '../support/end-later.js';

const WRITER = join(import.meta.dirname, '../support/trace/log-writer.js');
export const LINES_PER_SECOND = 200;
const ROTATION_INTERVAL_MS = 7000;

export interface Written {
  readonly lines: number;
  readonly rotations: number;
}

export interface RotatedLogs {
  /** Waits until the writers have ended. Returns what they have written. */
  ended(): Promise<{ readonly renamed: Written; readonly truncated: Written }>;
  /** Removes the rotated files. */
  removeRotated(): void;
}

/** Writes `renamed.log` and `truncated.log` in `folder`. */
export function rotateLogs(folder: string, seconds: number): RotatedLogs {
  const renamed = write(join(folder, 'renamed.log'), seconds, 'rename');
  const truncated = write(join(folder, 'truncated.log'), seconds, 'truncate');
  return {
    ended: async () => ({ renamed: await renamed, truncated: await truncated }),
    removeRotated() {
      for (const name of readdirSync(folder)) if (/\.log\.\d+$/.test(name)) rmSync(join(folder, name), { force: true });
    },
  };
}

async function write(path: string, seconds: number, how: 'rename' | 'truncate'): Promise<Written> {
  const args = [path, String(LINES_PER_SECOND), String(seconds), how, String(ROTATION_INTERVAL_MS)];
  const child = spawn(process.execPath, [WRITER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  const ended = once(child, 'close');
  const forget = endLater(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await ended;
  forget();
  const [lines = Number.NaN, rotations = Number.NaN] = output.trim().split(' ').map(Number);
  return { lines, rotations };
}
