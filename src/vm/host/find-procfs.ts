import { AgentError } from '../../system/errors.js';
import { listFolder } from '../../system/files.js';
import { processIds } from './proc.js';

/**
 * Returns the directory where the host's /proc is mounted.
 * @param given the directory that the user names; undefined: the usual one
 * @throws AgentError if no process is there: no VM would ever be found
 */
export function findProcfs(given: string | undefined): string {
  if (given === undefined) return '/proc';
  let problem = 'no process there (no directory with a number for a name)';
  try {
    listFolder(given);
    if ((processIds(given) ?? []).length > 0) return given;
  } catch (error) {
    problem = error instanceof Error ? error.message.replace(`${given}: `, '') : String(error);
  }
  throw new AgentError(`--path.procfs=${given}: ${problem}; give the directory where the host's /proc is mounted`);
}
