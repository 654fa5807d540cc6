import { log } from '../../system/log.js';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** Time in which further signals are taken for the first one: timeout(1) sends it to the program and to its group. */
const REPEAT_MS = 1000;

/**
 * A signal that SIGTERM and SIGINT abort. A later one of them ends the program at once.
 * @param onStop by default logs which one it was
 */
export function stopSignal(onStop = logStop): AbortSignal {
  const stop = new AbortController();
  const handle = (name: NodeJS.Signals) => {
    if (stop.signal.aborted) return;
    onStop(name);
    stop.abort();
    setTimeout(() => {
      for (const each of SIGNALS) process.off(each, handle);
    }, REPEAT_MS).unref();
  };
  for (const name of SIGNALS) process.on(name, handle);
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
