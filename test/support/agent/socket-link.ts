import { readFileSync } from 'node:fs';

/** What /proc/PID/fd shows for the Unix socket that this process listens on. */
export function socketLink(path: string): string {
  const lines = readFileSync('/proc/self/net/unix', 'utf8').split('\n');
  const [, , , , , , inode] = lines.find((line) => line.endsWith(` ${path}`))?.split(/ +/) ?? [];
  return `socket:[${inode}]`;
}
