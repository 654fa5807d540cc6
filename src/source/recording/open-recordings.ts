import { AgentError } from '../../system/errors.js';
import { isDirectory, openPageDirectory, type PageDirectory } from './page-directory.js';
import { openRecordingFile, type RecordingFile } from './recording-file.js';

export type Recording = RecordingFile | PageDirectory;

/**
 * Opens every recording before any is read, so that all problems are reported at once.
 * @param tracefs the copy of tracefs with the formats of pages; undefined for the one in each directory
 * @throws AgentError with a line for each path that cannot be used
 */
export async function openRecordings(paths: readonly string[], tracefs: string | undefined): Promise<Recording[]> {
  const recordings: Recording[] = [];
  const problems: string[] = [];
  // One after the other: each takes a megabyte of memory while its format is recognised.
  for (const path of paths) {
    try {
      recordings.push(isDirectory(path) ? openPageDirectory(path, tracefs) : await openRecordingFile(path));
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length > 0) throw new AgentError(problems.join('\n'));
  return recordings;
}

export function isPageDirectory(recording: Recording): recording is PageDirectory {
  return 'cpus' in recording;
}
