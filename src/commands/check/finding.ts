/** What `check` has to say of one thing. */
export interface Finding {
  /** `FAIL`: `run` can't work so. `warn`: it can, but with less to show. */
  readonly level: 'ok' | 'warn' | 'FAIL';
  /** How it is. */
  readonly text: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export function ok(text: string): Finding {
  return { level: 'ok', text };
}

export function warn(text: string, remedy: string): Finding {
  return { level: 'warn', text, remedy };
}

export function fail(text: string, remedy: string): Finding {
  return { level: 'FAIL', text, remedy };
}
