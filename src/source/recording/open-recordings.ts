import { existsSync } from 'node:fs';
import { AgentError } from '../../system/errors.js';
import { isDirectory } from '../../system/files.js';
import { openLeftovers, openPageDirectory } from './pages/page-directory.js';
import { leftoverFiles, leftoverOf } from './pages/page-files.js';
import type { PageRecording } from './pages/page-recording.js';
import { holdsPerfData, openPerfDirectory, type PerfDirectory } from './perf-directory.js';
import { openFile, type RecordingFile } from './recording-file.js';
import { openStandardInput } from './standard-input.js';

export type Recording = RecordingFile | PageRecording | PerfDirectory;

/** The path that stands for standard input. */
export const STANDARD_INPUT = '-';

/**
 * Opens every recording before any is read, so that all problems are reported at once.
 * @param tracefs the copy of tracefs with the formats of pages; undefined for the one in each recording
 * @param stop ends standard input where it is
 * @throws AgentError with a line for each path that cannot be used
 */
export async function openRecordings(
  paths: readonly string[],
  tracefs: string | undefined,
  stop: AbortSignal,
): Promise<Recording[]> {
  const recordings: Recording[] = [];
  const problems: string[] = [];
  // One after the other: each takes a megabyte of memory while its format is recognised.
  for (const path of new Set(paths.map(withoutCpu))) {
    try {
      recordings.push(path === STANDARD_INPUT ? await openStandardInput(stop) : await open(path, tracefs));
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length > 0) throw new AgentError(problems.join('\n'));
  return recordings;
}

export function isPageRecording(recording: Recording): recording is PageRecording {
  return 'buffers' in recording;
}

export function isPerfDirectory(recording: Recording): recording is PerfDirectory {
  return 'cpuFiles' in recording;
}

async function open(path: string, tracefs: string | undefined): Promise<Recording> {
  if (isDirectory(path)) return holdsPerfData(path) ? await openPerfDirectory(path) : openPageDirectory(path, tracefs);
  if (!existsSync(path) && leftoverFiles(path).length > 0) return openLeftovers(path, tracefs);
  return await openFile(path, tracefs);
}

/** `trace.dat.cpu0` is a part of `trace.dat`, and a shell's `trace.dat.cpu*` means it several times. */
function withoutCpu(path: string): string {
  const whole = leftoverOf(path);
  return whole === undefined || isDirectory(path) ? path : whole;
}
