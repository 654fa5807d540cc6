/**
 * KVM's own statistics from libvirt, for VMs whose only QMP socket libvirt holds, on hosts that close debugfs. The
 * read-only connection cannot change a VM. libvirt's protocol is its own affair, so its client is run.
 */
import { spawn } from 'node:child_process';
import { DomstatsReader } from '../../decode/statistics/domstats.js';
import { AgentError, errnoReason } from '../../system/errors.js';
import type { StatisticsPart } from '../../trace/kvm-statistic.js';

const COMMAND = 'virsh';
/** `--nowait` leaves out a VM whose QEMU is busy, which would otherwise delay the answer. */
const ARGS = ['-r', '-c', 'qemu:///system', 'domstats', '--raw', '--nowait', '--list-active', '--vcpu', '--vm'];
/** No variable of the agent's own, and the language that the reader knows. */
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };
const TIMEOUT_MS = 8000;
/** A VM with 8 vCPUs has 20 KB. */
const MAX_BYTES = 64 << 20;
const MAX_MESSAGE = 1000;

export interface VirshOptions {
  readonly command?: string;
  readonly args?: readonly string[];
  readonly timeoutMs?: number;
}

/**
 * Name of each running domain -> its statistics.
 * @param isWanted tells by name whether a statistic is to be read
 * @throws AgentError if virsh is missing, fails, or does not end in time
 */
export function readDomstats(
  isWanted: (name: string) => boolean,
  { command = COMMAND, args = ARGS, timeoutMs = TIMEOUT_MS }: VirshOptions = {},
): Promise<Map<string, StatisticsPart[]>> {
  const reader = new DomstatsReader(isWanted);
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: ENVIRONMENT });
    const fail = (reason: string) => {
      child.kill('SIGKILL');
      reject(new AgentError(`virsh domstats: ${reason}`));
    };
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs / 1000} s; is libvirtd busy?`), timeoutMs);
    let bytes = 0;
    let message = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      bytes += text.length;
      if (bytes > MAX_BYTES) fail('its answer is too long');
      else reader.push(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      message = (message + text).slice(0, MAX_MESSAGE);
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      fail(errnoReason(error, { ENOENT: `no program ${command}; install libvirt's clients` }));
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(reader.domains());
      else fail(message.trim().split('\n')[0] || `ended with status ${code}`);
    });
  });
}
