import { AgentError } from '../agent-error.js';
import type { Flag } from './options.js';

/** Values of options as numbers in base units. Each throws AgentError naming the flag, the value and what is expected. */

const BYTES: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
const SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };

/** `16MiB`, `4096K`, `1048576`. */
export function parseBytes(flag: Flag, value: string): number {
  const match = /^(\d+)\s*([kmg]?)(?:i?b)?$/i.exec(value);
  const bytes = Number(match?.[1]) * (BYTES[(match?.[2] ?? '').toLowerCase()] ?? Number.NaN);
  if (!(bytes > 0) || !Number.isSafeInteger(bytes))
    throw new AgentError(`--${flag}=${value}: expected a size such as 16MiB or 4096K`);
  return bytes;
}

/** `20`. */
export function parseCount(flag: Flag, value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new AgentError(`--${flag}=${value}: expected a number`);
  return Number(value);
}

/** `5m`, `1.5h`, `30s`, `0s`. @returns seconds */
export function parseSeconds(flag: Flag, value: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value);
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] ?? ''] ?? Number.NaN);
  if (!Number.isFinite(seconds)) throw new AgentError(`--${flag}=${value}: expected a duration such as 30s, 5m or 1h`);
  return seconds;
}

export function parseChoice<T extends string>(flag: Flag, value: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === value);
  if (choice === undefined)
    throw new AgentError(`--${flag}=${value}: expected ${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`);
  return choice;
}

/** `kvm:kvm_exit,kvm:*`, also `kvm_exit` for short. */
export function parseEvents(flag: Flag, value: string): string[] {
  const events = value.split(',').map((event) => (event.includes(':') ? event.trim() : `kvm:${event.trim()}`));
  const wrong = events.filter((event) => !/^[\w-]+:[\w*-]+$/.test(event));
  if (wrong.length > 0)
    throw new AgentError(`--${flag}: ${wrong.join(', ')}: expected SYSTEM:EVENT, such as kvm:kvm_exit or kvm:*`);
  return events;
}

/** A name that can be a folder below instances/. */
export function parseInstanceName(flag: Flag, value: string): string {
  if (!/^[\w][\w.-]{0,63}$/.test(value))
    throw new AgentError(`--${flag}=${value}: expected letters, digits, - and _ (at most 64)`);
  return value;
}
