/** What systemd expects from a service with Type=notify, from its variables: sd_notify(3), sd_watchdog_enabled(3). */
import type { Environment } from './environment.js';

export interface ServiceManager {
  /** The service is restarted if it is silent for this long; undefined without a watchdog. */
  readonly watchdogMs: number | undefined;
}

/** Undefined if no service manager waits for notifications. */
export function serviceManager(environment: Environment = process.env, pid = process.pid): ServiceManager | undefined {
  const { NOTIFY_SOCKET = '', WATCHDOG_USEC = '', WATCHDOG_PID = '' } = environment;
  if (NOTIFY_SOCKET === '') return undefined;
  const isForThisProcess = WATCHDOG_PID === '' || WATCHDOG_PID === String(pid);
  const watchdogMs = Number(WATCHDOG_USEC) / 1000;
  return { watchdogMs: isForThisProcess && watchdogMs > 0 ? watchdogMs : undefined };
}
