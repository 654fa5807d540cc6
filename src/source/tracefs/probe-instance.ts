import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError } from '../../system/errors.js';
import { createInstanceFolder, removeInstanceFolder, writeControl } from './control/tracefs-files.js';

/**
 * Finds out whether tracing instances can be made here: makes one for a moment, under a name that no agent uses.
 * @param inspect called with the path of the instance; its result is returned
 * @throws AgentError that says what is missing
 */
export function probeInstance<T>(tracefs: string, inspect: (instance: string) => T): T {
  const path = join(tracefs, 'instances', `kvm-exit-exporter-check-${process.pid}`);
  createInstanceFolder(path);
  try {
    if (!existsSync(join(path, 'tracing_on')))
      throw new AgentError(`${tracefs}: not a mounted tracefs (a copy?): a folder made in its instances/ stays empty`);
    writeControl(path, 'tracing_on', '0');
    return inspect(path);
  } finally {
    removeInstanceFolder(path, `another program reads it, so it stays; once that has ended: rmdir ${path}`);
  }
}
