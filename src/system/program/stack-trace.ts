import { withSourceLines } from './program-files.js';

/** What to log of a bug: the error's stack, if it has one, with the lines of the program's own files. */
export function stackTrace(error: unknown): string {
  return error instanceof Error ? withSourceLines(error.stack ?? String(error)) : String(error);
}
