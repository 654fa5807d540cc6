import { type LogLevel, log } from './log.js';

const PAUSE_MS = 60_000;

/** Lines of one kind that {@link SeldomLog.few} logs in a minute. */
const MAX_FEW = 50;

/** Logs each kind of line at most once a minute. `times` is the number of lines that a line stands for. */
export class SeldomLog {
  readonly #now: () => number;
  readonly #kinds = new Map<string, { loggedMs: number; unlogged: number }>();
  readonly #few = new Map<string, { sinceMs: number; count: number }>();

  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  warn(kind: string, msg: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#log('warn', kind, msg, fields);
  }

  info(kind: string, msg: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#log('info', kind, msg, fields);
  }

  /** Logs the first 50 lines of a kind in a minute, each of which is of interest, and then one for the rest. */
  few(level: LogLevel, kind: string, msg: string, fields?: Readonly<Record<string, unknown>>): void {
    const nowMs = this.#now();
    const known = this.#few.get(kind);
    const minute = known !== undefined && nowMs - known.sinceMs < PAUSE_MS ? known : { sinceMs: nowMs, count: 0 };
    this.#few.set(kind, minute);
    minute.count++;
    if (minute.count <= MAX_FEW) log(level, msg, fields);
    else this.#log(level, `few ${kind}`, `more than ${MAX_FEW} in a minute: ${msg}`, fields);
  }

  #log(level: LogLevel, kind: string, msg: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const nowMs = this.#now();
    const known = this.#kinds.get(kind) ?? { loggedMs: Number.NEGATIVE_INFINITY, unlogged: 0 };
    this.#kinds.set(kind, known);
    known.unlogged++;
    if (nowMs - known.loggedMs < PAUSE_MS) return;
    log(level, msg, known.unlogged === 1 ? fields : { ...fields, times: known.unlogged });
    known.loggedMs = nowMs;
    known.unlogged = 0;
  }
}
