import { spawn } from 'node:child_process';
import { serviceManager } from '../../config/service-manager.js';
import { log } from '../../system/log.js';

/**
 * Tells systemd that we serve, and from then on that we live: the timer is one of the event loop, so a loop that hangs is not heard of any more.
 * Node.js has no datagram sockets of the Unix kind, so systemd's own program sends the messages, which needs NotifyAccess=all.
 */
export function notifyServing(): void {
  const manager = serviceManager();
  if (manager === undefined) return;
  send('READY=1');
  if (manager.watchdogMs !== undefined) setInterval(() => send('WATCHDOG=1'), manager.watchdogMs / 2).unref();
}

function send(message: string): void {
  const child = spawn('systemd-notify', [message], { stdio: 'ignore' });
  child.on('error', (error) => log('warn', 'systemd cannot be notified', { message, err: error.message }));
  child.on('exit', (status) => {
    if (status !== 0) log('warn', 'systemd cannot be notified', { message, status });
  });
  child.unref();
}
