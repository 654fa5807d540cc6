import { AgentError } from '../system/errors.js';
import type { Flag, Option } from './options.js';

/**
 * Values of options, in base units. `where` is the option as it was given - a flag, a variable, a line of a file - and `expected` throws an
 * AgentError that names it, the value and what it should have been.
 */

const BYTES: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
const SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };

type Read<T> = (where: string, value: string) => T;

function expected(where: string, value: string, what: string): never {
  throw new AgentError(`${where}=${value}: expected ${what}`);
}

function readBytes(where: string, value: string): number {
  const match = /^(\d+)\s*([kmg]?)(?:i?b)?$/i.exec(value);
  const bytes = Number(match?.[1]) * (BYTES[(match?.[2] ?? '').toLowerCase()] ?? Number.NaN);
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : expected(where, value, 'a size such as 16MiB or 4096K');
}

function readCount(where: string, value: string): number {
  return /^\d{1,9}$/.test(value) ? Number(value) : expected(where, value, 'a number');
}

function readSeconds(where: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value);
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] ?? ''] ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds : expected(where, value, 'a duration such as 30s, 5m or 1h');
}

function readChoice<T extends string>(where: string, value: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === value);
  return choice ?? expected(where, value, `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`);
}

function readEvents(where: string, value: string): string[] {
  const events = value.split(',').map((event) => (event.includes(':') ? event.trim() : `kvm:${event.trim()}`));
  const wrong = events.filter((event) => !/^[\w-]+:[\w*-]+$/.test(event));
  if (wrong.length > 0)
    throw new AgentError(`${where}: ${wrong.join(', ')}: expected SYSTEM:EVENT, such as kvm:kvm_exit or kvm:*`);
  return events;
}

function readInstanceName(where: string, value: string): string {
  return /^[\w][\w.-]{0,63}$/.test(value) ? value : expected(where, value, 'letters, digits, - and _ (at most 64)');
}

export interface ListenAddress {
  /** Undefined: all of them. */
  readonly host: string | undefined;
  readonly port: number;
}

function readListenAddress(where: string, value: string): ListenAddress {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) expected(where, value, 'HOST:PORT, [IPV6]:PORT or :PORT, port 0 to 65535');
  return { host: (match[1] ?? match[2]) || undefined, port };
}

const TAKEN_PATHS = /^\/(?:-|api|docs)(?:\/|$)|^\/(?:healthz|readyz)$|\/\.\.?(?:\/|$)/;

function readUrlPath(where: string, value: string): string {
  if (/^(?:\/[\w.-]+)+$/.test(value) && !TAKEN_PATHS.test(value)) return value;
  return expected(where, value, 'a path such as /metrics, and none that is taken (/api, /docs, /-, /healthz, /readyz)');
}

function readUrl(where: string, value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  return expected(where, value, 'a URL such as http://localhost:4318');
}

const ofFlag =
  <T>(read: Read<T>) =>
  (flag: Flag, value: string): T =>
    read(`--${flag}`, value);

/** `16MiB`, `4096K`, `1048576`. */
export const parseBytes = ofFlag(readBytes);
/** `20`. */
export const parseCount = ofFlag(readCount);
/** `5m`, `1.5h`, `30s`, `0s`. @returns seconds */
export const parseSeconds = ofFlag(readSeconds);
/** `kvm:kvm_exit,kvm:*`, also `kvm_exit` for short. */
export const parseEvents = ofFlag(readEvents);
/** A name that can be a folder below instances/. */
export const parseInstanceName = ofFlag(readInstanceName);
/** `HOST:PORT`, `:PORT`, `[::1]:PORT`. */
export const parseListenAddress = ofFlag(readListenAddress);
/** `https://10.96.0.1:443`. */
export const parseUrl = ofFlag(readUrl);

export function parseChoice<T extends string>(flag: Flag, value: string, choices: readonly T[]): T {
  return readChoice(`--${flag}`, value, choices);
}

/** By what --help calls the value. Others can be anything, as far as can be told without looking at the host. */
const READ: Readonly<Record<string, Read<unknown>>> = {
  BYTES: readBytes,
  NUMBER: readCount,
  DURATION: readSeconds,
  NAME: readInstanceName,
  PATH: readUrlPath,
  URL: readUrl,
  'SYSTEM:EVENT,...': readEvents,
  '[HOST]:PORT': readListenAddress,
};

/** @throws AgentError where the value is not what its placeholder in --help (`DURATION`, `auto|binary|text`) promises */
export function checkValue({ value: placeholder = '', least = 0 }: Option, where: string, value: string): void {
  if (/^[a-z0-9]+(?:\|[a-z0-9]+)+$/.test(placeholder)) readChoice(where, value, placeholder.split('|'));
  else if (placeholder === 'NUMBER' && readCount(where, value) < least) expected(where, value, `at least ${least}`);
  else READ[placeholder]?.(where, value);
}
