import { type Flag, OPTIONS } from '../../config/options.js';
import type { Invocation } from '../../config/parse-command-line.js';
import { AgentError } from '../../system/errors.js';
import { log, setLog } from '../../system/log.js';
import type { WebConfigFile } from '../../web/access/web-config-file.js';

/** What SIGHUP can change; the rest is settled at the start. */
const RELOADED: readonly Flag[] = ['log.level', 'log.format'];

/** SIGHUP: reads the files again, --config.file and --web.config.file with its certificates. */
export function reloadOnHangup(invocation: Invocation, web: WebConfigFile): void {
  let current = invocation;
  process.on('SIGHUP', () => {
    current = reread(current);
    web.reload();
  });
}

function reread(before: Invocation): Invocation {
  try {
    const now = before.reread();
    const changed = OPTIONS.map(({ flag }) => flag).filter((flag) => textOf(now, flag) !== textOf(before, flag));
    setLog({ level: now.get('log.level'), format: now.get('log.format') });
    log('info', 'configuration read again', { changed: changed.filter((flag) => RELOADED.includes(flag)).join(',') });
    const rest = changed.filter((flag) => !RELOADED.includes(flag)).join(',');
    if (rest !== '') log('warn', 'these options take effect with a restart only', { options: rest });
    return now;
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    log('error', 'configuration is bad, keeping the one before', { err: error.message.replaceAll('\n', '; ') });
    return before;
  }
}

function textOf({ get }: Invocation, flag: Flag): string {
  return JSON.stringify(get(flag));
}
