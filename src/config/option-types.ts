/** The types of options: how the text after `--flag=`, in a variable or in the file becomes a value in base units. */

import type { Moment } from '../trace/time-window.js';

export interface OptionType<T> {
  /** What --help shows for the value: `DURATION`, `auto|binary|text`. */
  readonly placeholder: string;
  /** Completes "expected ...": `a duration such as 30s, 5m or 1h`. */
  readonly expected: string;
  /** Every value, if they can be listed; shells complete them. */
  readonly values?: readonly string[];
  /** Undefined if the text is not a value of this type. Never called with an empty text. */
  readonly read: (text: string) => T | undefined;
}

/** `--name`, `--no-name`, `--name=true`. */
export const toggle: OptionType<boolean> = {
  placeholder: 'true|false',
  expected: 'true or false',
  values: ['true', 'false'],
  read: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
};

/** Any text: a path, a pattern, a name. Whether it exists is found out where it is used. */
export function text(placeholder: string): OptionType<string> {
  return { placeholder, expected: placeholder, read: (text) => text };
}

/** One of `names`. */
export function choices<const T extends string>(names: readonly T[]): OptionType<T> {
  return {
    placeholder: names.join('|'),
    values: names,
    expected: `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`,
    read: (text) => names.find((name) => name === text),
  };
}

/** One of too many names to list; `where` they are listed. */
export function nameFrom(names: readonly string[], where: string): OptionType<string> {
  const known = new Set(names);
  const read = (text: string) => (known.has(text) ? text : undefined);
  return { placeholder: 'NAME', expected: `a name in ${where}`, values: names, read };
}

/** `20`; at least `min`. */
export function count(min = 0): OptionType<number> {
  return {
    placeholder: 'NUMBER',
    expected: min === 0 ? 'a number' : `a number of at least ${min}`,
    read: (text) => (/^\d{1,9}$/.test(text) && Number(text) >= min ? Number(text) : undefined),
  };
}

/** `10%` or `10`; as a part of 1. */
export const percentage: OptionType<number> = {
  placeholder: 'PERCENT',
  expected: 'a percentage such as 10% or 2.5%',
  read: (text) => (/^\d{1,9}(?:\.\d{1,9})?\s?%?$/.test(text) ? Number.parseFloat(text) / 100 : undefined),
};

/** `16MiB`, `4096K`, `1048576`; in bytes. */
export const bytes: OptionType<number> = {
  placeholder: 'BYTES',
  expected: 'a size such as 16MiB or 4096K',
  read(text) {
    const [, digits, unit = ''] = /^(\d+)\s*([kmg]?)(?:i?b)?$/i.exec(text) ?? [];
    const size = Number(digits) * (BYTES_PER_UNIT[unit.toLowerCase()] ?? Number.NaN);
    return size > 0 && Number.isSafeInteger(size) ? size : undefined;
  },
};

/** `5m`, `1.5h`, `30s`, `0s`; in seconds. */
export const seconds: OptionType<number> = {
  placeholder: 'DURATION',
  expected: 'a duration such as 30s, 5m or 1h',
  read: readSeconds,
};

/** `5`, `500ms` from the start of a recording; `@2575.77` on its clock. */
export const moment: OptionType<Moment> = {
  placeholder: 'TIME',
  expected: 'seconds from the start such as 5, 0.5 or 500ms, or @ and a time of the trace such as @2575.77',
  read(text) {
    const [, at, whole, fraction = ''] = /^(@?)(\d{1,15})(?:\.(\d+))?$/.exec(text) ?? [];
    if (whole !== undefined) {
      // As decoders do, so that the time of an event equals the same text in a trace.
      const ns = Number(whole) * 1e9 + Number(fraction.slice(0, 9)) * 10 ** (9 - Math.min(9, fraction.length));
      return { ns, isRelative: at === '' };
    }
    const relative = readSeconds(text);
    return relative === undefined ? undefined : { ns: relative * 1e9, isRelative: true };
  },
};

/** As {@link seconds}, within limits. */
export function secondsBetween(min: string, max: string): OptionType<number> {
  const [minSeconds = Number.NaN, maxSeconds = Number.NaN] = [readSeconds(min), readSeconds(max)];
  return {
    placeholder: seconds.placeholder,
    expected: `a duration from ${min} to ${max}`,
    read(text) {
      const value = readSeconds(text);
      return value !== undefined && value >= minSeconds && value <= maxSeconds ? value : undefined;
    },
  };
}

/** Windows in which all events are counted, in seconds. */
export interface Sampling {
  readonly windowSeconds: number;
  readonly periodSeconds: number;
}

/** To switch events takes up to 0.1 s, so a shorter window would show little else. */
const MIN_WINDOW_SECONDS = 1;
const MAX_PERIOD_SECONDS = 3600;

/** `2s/60s`, `off`, `auto`. */
export const sampling: OptionType<Sampling | 'off' | 'auto'> = {
  placeholder: 'off|WINDOW/PERIOD|auto',
  expected:
    'off, auto, or WINDOW/PERIOD such as 2s/60s: a window of at least 1s, at most half of its period, which is at most 1h',
  read(text) {
    if (text === 'off' || text === 'auto') return text;
    const [window = '', period = '', ...more] = text.split('/');
    const [windowSeconds, periodSeconds] = [readSeconds(window) ?? Number.NaN, readSeconds(period) ?? Number.NaN];
    const fits = windowSeconds >= MIN_WINDOW_SECONDS && periodSeconds <= MAX_PERIOD_SECONDS;
    return fits && 2 * windowSeconds <= periodSeconds && more.length === 0
      ? { windowSeconds, periodSeconds }
      : undefined;
  },
};

/** `kvm:kvm_exit,kvm:*`; `kvm_exit` is short for `kvm:kvm_exit`. */
export const tracepoints: OptionType<readonly string[]> = {
  placeholder: 'SYSTEM:EVENT,...',
  expected: 'SYSTEM:EVENT,... such as kvm:kvm_exit or kvm:*',
  read(text) {
    const names = text.split(',').map((name) => (name.includes(':') ? name.trim() : `kvm:${name.trim()}`));
    return names.every((name) => /^[\w-]+:[\w*-]+$/.test(name)) ? names : undefined;
  },
};

/** A name that can be a folder below tracefs' `instances/`. */
export const instanceName: OptionType<string> = {
  placeholder: 'NAME',
  expected: 'letters, digits, - and _ (at most 64)',
  read: (text) => (/^\w[\w.-]{0,63}$/.test(text) ? text : undefined),
};

export interface ListenAddress {
  /** Undefined for all addresses of this host. */
  readonly host: string | undefined;
  readonly port: number;
}

/** `HOST:PORT`, `:PORT`, `[::1]:PORT`. */
export const listenAddress: OptionType<ListenAddress> = {
  placeholder: '[HOST]:PORT',
  expected: 'HOST:PORT, [IPV6]:PORT or :PORT, port 0 to 65535',
  read(text) {
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
    const port = Number(match?.[3]);
    return match !== null && port <= 65535 ? { host: (match[1] ?? match[2]) || undefined, port } : undefined;
  },
};

/** `metrics.example.com,*.example.com`; `*` for any. */
export const hostNames: OptionType<readonly string[]> = {
  placeholder: 'HOST,...',
  expected: 'host names without port, such as metrics.example.com or *.example.com, or * for any',
  read(text) {
    const names = text.split(',').map((name) => name.trim());
    return names.every((name) => /^(?:\*|(?:\*\.)?[\w-]+(?:\.[\w-]+)*)$/.test(name)) ? names : undefined;
  },
};

/** Paths that the web server has pages at, and those that browsers and proxies rewrite. */
const TAKEN_PATHS = /^\/(?:-|api|docs|runbooks|advice)(?:\/|$)|^\/(?:healthz|readyz)$|\/\.\.?(?:\/|$)/;

/** `/metrics`. */
export const urlPath: OptionType<string> = {
  placeholder: 'PATH',
  expected: 'a path such as /metrics, and none that is taken (/api, /docs, /runbooks, /advice, /-, /healthz, /readyz)',
  read: (text) => (/^(?:\/[\w.-]+)+$/.test(text) && !TAKEN_PATHS.test(text) ? text : undefined),
};

/** `https://10.96.0.1:443`. */
export const url: OptionType<URL> = {
  placeholder: 'URL',
  expected: 'a URL such as http://localhost:4318',
  read(text) {
    const value = URL.canParse(text) ? new URL(text) : undefined;
    return value?.protocol === 'http:' || value?.protocol === 'https:' ? value : undefined;
  },
};

const BYTES_PER_UNIT: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
const SECONDS_PER_UNIT: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };

function readSeconds(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const value = Number(digits) * (SECONDS_PER_UNIT[unit] ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}
