/** What systemd asks of a service with Type=notify, by variables: sd_notify(3), sd_watchdog_enabled(3). */
import type { Environment } from './environment.js';

export interface ServiceManager {
  /** How often it wants to hear that we live; undefined: never. */
  readonly watchdogMs: number | undefined;
}

/** Undefined where nobody wants to be notified. */
export function serviceManager(environment: Environment = process.env, pid = process.pid): ServiceManager | undefined {
  const { NOTIFY_SOCKET = '', WATCHDOG_USEC = '', WATCHDOG_PID = '' } = environment;
  if (NOTIFY_SOCKET === '') return undefined;
  const isOurs = WATCHDOG_PID === '' || WATCHDOG_PID === String(pid);
  const watchdogMs = Number(WATCHDOG_USEC) / 1000;
  return { watchdogMs: isOurs && watchdogMs > 0 ? watchdogMs : undefined };
}
