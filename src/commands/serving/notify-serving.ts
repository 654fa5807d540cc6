import { spawn } from 'node:child_process';
import { serviceManager } from '../../config/service-manager.js';
import { log } from '../../system/log.js';

/**
 * Notifies systemd that the program serves, and from then on, for the watchdog, that it is alive. A timer of the event
 * loop sends the latter, so a loop that hangs falls silent and systemd restarts the program.
 *
 * Node.js has no Unix datagram sockets, so systemd-notify sends the messages, which requires NotifyAccess=all in the
 * unit.
 */
export function notifyServing(): void {
  const manager = serviceManager();
  if (manager === undefined) return;
  send('READY=1');
  if (manager.watchdogMs !== undefined) setInterval(() => send('WATCHDOG=1'), manager.watchdogMs / 2).unref();
}

function send(message: string): void {
  const child = spawn('systemd-notify', [message], { stdio: 'ignore' });
  child.on('error', (error) => log('warn', 'cannot notify systemd', { message, err: error.message }));
  child.on('exit', (status) => {
    if (status !== 0) log('warn', 'cannot notify systemd', { message, status });
  });
  child.unref();
}
