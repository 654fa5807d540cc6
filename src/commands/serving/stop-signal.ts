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

/** Longest time that the program takes to end, whatever a peer or a file does. */
const MAX_STOP_MS = 1900;

/** Ends the program a moment after the signal is aborted, if it has not ended by then. */
export function endSoonAfter(signal: AbortSignal): void {
  // A timer that has nothing else to wait for does not keep the program alive.
  signal.addEventListener('abort', () => setTimeout(() => process.exit(), MAX_STOP_MS).unref(), { once: true });
}

function logStop(signal: NodeJS.Signals): void {
  log('info', 'stopping', { signal });
}
