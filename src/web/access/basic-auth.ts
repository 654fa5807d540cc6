import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { compare } from 'bcryptjs';

/** Hash of a random password that was not kept: no password matches it. */
const DUMMY_HASH = '$2b$10$kU2dUxYgUSVVGIGEQ4w7lOghikeYChvka1jxaCCKyMzUUS.0s.LQG';
const MAX_REMEMBERED = 100;
/** Comparisons that may wait for their turn; more are refused with {@link Verdict} `busy`. */
const MAX_QUEUED = 20;
/** Pause after each comparison, in multiples of its duration: guessing passwords takes at most a fifth of a CPU. */
const PAUSE_FACTOR = 4;

export type Verdict = 'right' | 'wrong' | 'busy';

/**
 * Checks passwords against bcrypt hashes. A comparison takes 70 ms or more of CPU on the main thread, so comparisons
 * run one at a time with a pause after each, and results are remembered. They are remembered by a digest, so that no
 * password stays in memory.
 */
export class BasicAuth {
  readonly #results = new Map<string, boolean>();
  readonly #running = new Map<string, Promise<boolean>>();
  /** Resolved when the previous comparison and the pause after it are over. */
  #previous: Promise<unknown> = Promise.resolve();

  /** @param header value of the request's Authorization header */
  async check(users: ReadonlyMap<string, string>, header: string | undefined): Promise<Verdict> {
    const given = parseCredentials(header);
    if (given === undefined) return 'wrong';
    const isKnown = users.has(given.user);
    // An unknown user costs a comparison too. Otherwise the response time would reveal which users exist.
    const hash = users.get(given.user) ?? [...users.values()][0] ?? DUMMY_HASH;
    const key = createHash('sha256')
      .update(JSON.stringify([given.user, hash, given.password]))
      .digest('base64');
    const known = this.#results.get(key) ?? this.#running.get(key);
    if (known === undefined && this.#running.size >= MAX_QUEUED) return 'busy';
    const isEqual = await (known ?? this.#compare(key, given.password, hash));
    return isEqual && isKnown ? 'right' : 'wrong';
  }

  #compare(key: string, password: string, hash: string): Promise<boolean> {
    const comparison = this.#previous.then(async () => {
      const startMs = performance.now();
      // bcryptjs throws for a password it cannot hash: that is a wrong one.
      const isEqual = await compare(password, hash).catch(() => false);
      this.#remember(key, isEqual);
      this.#running.delete(key);
      return { isEqual, pauseMs: PAUSE_FACTOR * (performance.now() - startMs) };
    });
    this.#previous = comparison.then(({ pauseMs }) => sleep(pauseMs, undefined, { ref: false }));
    const result = comparison.then(({ isEqual }) => isEqual);
    this.#running.set(key, result);
    return result;
  }

  /** Drops the oldest wrong result if there are too many, so that guessed passwords never displace the right ones. */
  #remember(key: string, isEqual: boolean): void {
    this.#results.set(key, isEqual);
    if (this.#results.size <= MAX_REMEMBERED) return;
    const [oldest] = this.#results.keys();
    const [dropped = oldest] = [...this.#results].find(([, result]) => !result) ?? [];
    if (dropped !== undefined) this.#results.delete(dropped);
  }
}

/** User and password from `Basic dXNlcjpwYXNzd29yZA==`. */
function parseCredentials(header: string | undefined): { user: string; password: string } | undefined {
  const encoded = /^basic +([a-z0-9+/]+=*)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
