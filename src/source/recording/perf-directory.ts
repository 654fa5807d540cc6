/**
 * A directory that `perf record --threads` wrote:
 *
 *   DIR/data                header, events, formats, and records of perf's own
 *   DIR/data.0 data.1 ...   records of one CPU each, in order
 *
 * Source: perf_data__create_dir, tools/perf/util/data.c (Linux 6.1).
 */
import { closeSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isPerfData, type PerfFile } from '../../decode/perf-data/perf-file.js';
import { fileError } from '../../system/errors.js';
import { listFolder } from '../../system/files.js';
import { readPerfFile } from './formats/perf-data.js';
import { openRecordedFileSync } from './pages/open-recorded-file.js';

const MAIN_FILE = 'data';
const HEAD_BYTES = 16;
const CPU_FILE = /^data\.(\d{1,6})$/;

export interface PerfDirectory {
  readonly path: string;
  /** Bytes on disk of all files. */
  readonly size: number;
  readonly main: PerfFile;
  /** Paths of the other files. */
  readonly cpuFiles: readonly string[];
}

/** False also if its main file cannot be read: then the code that expects another recording reports the reason. */
export function holdsPerfData(path: string): boolean {
  try {
    const file = openRecordedFileSync(join(path, MAIN_FILE));
    try {
      const head = Buffer.alloc(HEAD_BYTES);
      return isPerfData(head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0)));
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
}

/** @throws AgentError if the main file is damaged or a file cannot be read */
export async function openPerfDirectory(path: string): Promise<PerfDirectory> {
  const mainPath = join(path, MAIN_FILE);
  const cpuFiles = listFolder(path)
    .filter((name) => CPU_FILE.test(name))
    .map((name) => join(path, name));
  const size = [mainPath, ...cpuFiles].reduce((sum, file) => sum + sizeOf(file), 0);
  return { path, size, main: await readPerfFile(mainPath, undefined), cpuFiles };
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw fileError(path, error);
  }
}
