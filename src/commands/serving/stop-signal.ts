import { log } from '../../system/log.js';

/**
 * A signal that SIGTERM and SIGINT abort. A second one of them ends the program at once.
 * @param onStop by default logs which one it was
 */
export function stopSignal(onStop = logStop): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      onStop(name);
      stop.abort();
    });
  }
  return stop.signal;
}

function logStop(signal: NodeJS.Signals): void {
  log('info', 'stopping', { signal });
}
