/** Lines on stderr in logfmt: `time=2026-11-23T03:50:00.000Z level=info msg="serving" url=http://localhost:10586/metrics`. */

export type Level = 'debug' | 'info' | 'warn' | 'error';

export function log(level: Level, msg: string, fields: Readonly<Record<string, unknown>> = {}): void {
  const pairs = Object.entries({ time: new Date().toISOString(), level, msg, ...fields });
  process.stderr.write(`${pairs.map(([key, value]) => `${key}=${logfmt(String(value))}`).join(' ')}\n`);
}

function logfmt(value: string): string {
  return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
