import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { compare } from 'bcryptjs';

/** Hash of a word that nobody knows. */
const NOBODY = '$2b$10$kU2dUxYgUSVVGIGEQ4w7lOghikeYChvka1jxaCCKyMzUUS.0s.LQG';
/** Answers kept. */
const KEPT = 100;
/** Passwords that may wait for their turn; more are refused unseen. */
const LONGEST_QUEUE = 20;
/** After each comparison, that many times its own time: whoever guesses passwords gets a fifth of a CPU, not all of it. */
const PAUSE_FACTOR = 4;

export type Verdict = 'right' | 'wrong' | 'busy';

/**
 * Checks passwords against bcrypt hashes. A comparison takes 70 ms and more of CPU in this very thread, so there is one at a time, with a
 * pause after it, and each answer is remembered - by a digest, as no password is kept in memory.
 */
export class BasicAuth {
  readonly #answers = new Map<string, boolean>();
  readonly #underWay = new Map<string, Promise<boolean>>();
  #last: Promise<unknown> = Promise.resolve();

  /** `header`: the request's Authorization. */
  async check(users: ReadonlyMap<string, string>, header: string | undefined): Promise<Verdict> {
    const given = credentials(header);
    if (given === undefined) return 'wrong';
    const isKnown = users.has(given.user);
    // Users that do not exist take as long to refuse as those that do: they are compared with another's hash, in vain.
    const hash = users.get(given.user) ?? [...users.values()][0] ?? NOBODY;
    const key = createHash('sha256')
      .update(JSON.stringify([given.user, hash, given.password]))
      .digest('base64');
    const known = this.#answers.get(key) ?? this.#underWay.get(key);
    if (known === undefined && this.#underWay.size >= LONGEST_QUEUE) return 'busy';
    const equal = await (known ?? this.#compare(key, given.password, hash));
    return equal && isKnown ? 'right' : 'wrong';
  }

  #compare(key: string, password: string, hash: string): Promise<boolean> {
    const answer = this.#last.then(async () => {
      const startMs = performance.now();
      // What can't be compared is not equal.
      const equal = await compare(password, hash).catch(() => false);
      this.#remember(key, equal);
      this.#underWay.delete(key);
      return { equal, pauseMs: PAUSE_FACTOR * (performance.now() - startMs) };
    });
    this.#last = answer.then(({ pauseMs }) => sleep(pauseMs, undefined, { ref: false }));
    const equal = answer.then((done) => done.equal);
    this.#underWay.set(key, equal);
    return equal;
  }

  /** The oldest goes first - of the wrong ones, lest somebody who guesses makes us forget those that are right. */
  #remember(key: string, equal: boolean): void {
    this.#answers.set(key, equal);
    if (this.#answers.size <= KEPT) return;
    const [oldest] = this.#answers.keys();
    const [wrong = oldest] = [...this.#answers].find(([, answer]) => !answer) ?? [];
    if (wrong !== undefined) this.#answers.delete(wrong);
  }
}

/** `Basic dXNlcjpwYXNzd29yZA==` */
function credentials(header: string | undefined): { user: string; password: string } | undefined {
  const encoded = /^basic +([a-z0-9+/]+=*)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
