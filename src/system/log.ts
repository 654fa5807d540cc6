/**
 * Log lines on stderr: `time=2026-11-23T03:50:00.000Z level=info msg=serving url=http://localhost:10586/metrics`, or
 * the same as JSON.
 */

import { escapeInJson } from './printable.js';
import { redact } from './redact.js';

/** From the least to the most severe. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['logfmt', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface LogSettings {
  /** The least severe messages to write. */
  readonly level: LogLevel;
  readonly format: LogFormat;
}

/** The only mutable state that the whole program shares. */
let settings: LogSettings = { level: 'info', format: 'logfmt' };

export function setLog(changed: LogSettings): void {
  settings = changed;
}

export function log(level: LogLevel, msg: string, fields: Readonly<Record<string, unknown>> = {}): void {
  if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(settings.level)) return;
  const shown = Object.entries(fields).map(([key, value]) => [key, typeof value === 'string' ? redact(value) : value]);
  const line = { time: new Date().toISOString(), level, msg: redact(msg), ...Object.fromEntries(shown) };
  process.stderr.write(`${FORMATTERS[settings.format](line)}\n`);
}

type Line = Readonly<Record<string, unknown>>;

const FORMATTERS: Readonly<Record<LogFormat, (line: Line) => string>> = {
  logfmt: (line) =>
    Object.entries(line)
      .map(([key, value]) => `${key}=${word(String(value))}`)
      .join(' '),
  json: (line) => escapeInJson(JSON.stringify(line)),
};

/** Quotes what is not a plain word, so that control characters, which VM names may contain, never reach a terminal. */
function word(value: string): string {
  if (/^[^\s"=\p{C}]+$/u.test(value)) return value;
  return escapeInJson(JSON.stringify(value));
}
