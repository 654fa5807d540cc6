import { readFileSync } from 'node:fs';

/** Number of the last CPU that this process may use, for guests that share one: other programs begin with the first. */
export function lastCpu(): string {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return list.split(/[,-]/).at(-1) ?? '0';
}
