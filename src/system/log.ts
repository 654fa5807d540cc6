/** Lines on stderr: `time=2026-11-23T03:50:00.000Z level=info msg=serving url=http://localhost:10586/metrics`, or the same as JSON. */

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof LEVELS)[number];
export type LogFormat = 'logfmt' | 'json';

export interface LogSettings {
  /** This and what is graver is said. */
  readonly level: Level;
  readonly format: LogFormat;
}

/** The only settings that the whole program shares. */
let settings: LogSettings = { level: 'info', format: 'logfmt' };

export function setLog(now: LogSettings): void {
  settings = now;
}

export function log(level: Level, msg: string, fields: Readonly<Record<string, unknown>> = {}): void {
  if (LEVELS.indexOf(level) < LEVELS.indexOf(settings.level)) return;
  const line = { time: new Date().toISOString(), level, msg, ...fields };
  process.stderr.write(`${settings.format === 'json' ? JSON.stringify(line) : logfmt(line)}\n`);
}

function logfmt(line: Readonly<Record<string, unknown>>): string {
  return Object.entries(line)
    .map(([key, value]) => `${key}=${word(String(value))}`)
    .join(' ');
}

/** Control characters, which could come from names of VMs, never reach a terminal. */
function word(value: string): string {
  if (/^[^\s"=\p{C}]+$/u.test(value)) return value;
  return JSON.stringify(value).replace(
    /[\x7f-\x9f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
