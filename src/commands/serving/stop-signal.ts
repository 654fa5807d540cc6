import { log } from '../../system/log.js';

/** A signal that SIGTERM and SIGINT abort. A second one of them ends the program at once. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      log('info', 'stopping', { signal: name });
      stop.abort();
    });
  }
  return stop.signal;
}
