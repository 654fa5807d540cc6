import { type Flag, OPTIONS } from '../../config/options.js';
import type { Invocation } from '../../config/parse-command-line.js';
import { AgentError } from '../../system/errors.js';
import { log, setLog } from '../../system/log.js';
import type { WebConfigFile } from '../../web/access/web-config-file.js';

/** The options that SIGHUP can change. Other changes need a restart. */
const RELOADABLE: readonly Flag[] = ['log.level', 'log.format'];

/** On SIGHUP, reads the files again: --config.file, and --web.config.file with its certificates. */
export function reloadOnHangup(invocation: Invocation, web: WebConfigFile): void {
  let current = invocation;
  process.on('SIGHUP', () => {
    current = reload(current);
    web.reload();
  });
}

/** Returns the invocation in force from now on: the previous one if the file has mistakes. */
function reload(previous: Invocation): Invocation {
  try {
    const { get, ...rest } = previous.reread();
    const changed = OPTIONS.map(({ flag }) => flag).filter((flag) => textOf(get(flag)) !== textOf(previous.get(flag)));
    setLog({ level: get('log.level'), format: get('log.format') });
    log('info', 'configuration reloaded', { changed: changed.filter((flag) => RELOADABLE.includes(flag)).join(',') });
    const unapplied = changed.filter((flag) => !RELOADABLE.includes(flag)).join(',');
    if (unapplied !== '') log('warn', 'these changes need a restart', { options: unapplied });
    return { get, ...rest };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const err = error.message.replaceAll('\n', '; ');
    log('error', 'configuration is invalid, keeping the previous one', { err });
    return previous;
  }
}

function textOf(value: unknown): string {
  return JSON.stringify(value) ?? '';
}
