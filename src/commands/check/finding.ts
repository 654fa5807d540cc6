/** What `check` found out about one thing. */
export interface Finding {
  /** `FAIL`: `run` cannot work. `warn`: it can, but shows less. */
  readonly level: 'ok' | 'warn' | 'FAIL';
  /** The thing, where one check looks at many. */
  readonly what?: string;
  readonly text: string;
  /** What the user can do about it. */
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
