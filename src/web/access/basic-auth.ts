import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { log } from '../../system/log.js';
import { BcryptThread } from './bcrypt-thread.js';
import { PasswordQueue } from './password-queue.js';

/** The end of the hash of a random password that was not kept: no password matches it. */
const DUMMY = 'kU2dUxYgUSVVGIGEQ4w7lOghikeYChvka1jxaCCKyMzUUS.0s.LQG';
const MAX_REMEMBERED = 100;
/** Pause after a wrong password, in multiples of its duration: guessing takes at most half a CPU. */
const PAUSE_FACTOR = 1;

export type Verdict = 'right' | 'wrong' | 'busy';

/** The sender of a request. */
export interface Client {
  /** Addresses that the client can choose from, as text. */
  readonly network: string;
  /** True once it has gone. */
  readonly isGone: () => boolean;
}

/** A comparison that waits or runs, and the clients that wait for its result. */
interface Check {
  readonly clients: Client[];
  readonly verdict: Promise<boolean | 'busy'>;
}

type Compare = (password: string, hash: string) => Promise<boolean>;

/**
 * Checks passwords against bcrypt hashes. A comparison takes 60 ms or more of CPU, so comparisons run one at a time
 * ({@link PasswordQueue}) in a thread of their own, and results are remembered. They are remembered by a digest, so
 * that no password stays in memory.
 */
export class BasicAuth {
  readonly #results = new Map<string, boolean>();
  readonly #checks = new Map<string, Check>();
  readonly #queue = new PasswordQueue();
  readonly #compare: Compare;

  /** @param compare bcrypt, for tests */
  constructor(compare?: Compare) {
    const thread = new BcryptThread();
    this.#compare = compare ?? ((password, hash) => thread.compare(password, hash));
  }

  /** @param header value of the request's Authorization header */
  async check(users: ReadonlyMap<string, string>, header: string | undefined, client: Client): Promise<Verdict> {
    const given = parseCredentials(header);
    if (given === undefined) return 'wrong';
    const maxCost = Math.max(4, ...[...users.values()].map(costOf));
    const hash = users.get(given.user);
    const key = createHash('sha256')
      .update(JSON.stringify([given.user, hash ?? '', given.password]))
      .digest('base64');
    const result = this.#results.get(key) ?? (await this.#resultOf(key, client, given.password, hash, maxCost));
    if (result === 'busy') return 'busy';
    return result && hash !== undefined ? 'right' : 'wrong';
  }

  #resultOf(
    key: string,
    client: Client,
    password: string,
    hash: string | undefined,
    maxCost: number,
  ): Promise<boolean | 'busy'> {
    const running = this.#checks.get(key);
    if (running !== undefined) {
      running.clients.push(client);
      return running.verdict;
    }
    const clients = [client];
    let resolve: (result: boolean | 'busy') => void = () => {};
    const verdict = new Promise<boolean | 'busy'>((resolveVerdict) => {
      resolve = resolveVerdict;
    });
    const end = (result: boolean | 'busy') => {
      this.#checks.delete(key);
      resolve(result);
    };
    this.#checks.set(key, { clients, verdict });
    let isEqual: boolean | 'busy' = false;
    let durationMs = 0;
    const isQueued = this.#queue.add({
      network: client.network,
      isAbandoned: () => clients.every(({ isGone }) => isGone()),
      drop: () => end('busy'),
      compare: async () => {
        const startMs = performance.now();
        isEqual = await this.#compareAtCost(password, hash ?? dummyHash(maxCost), maxCost).catch(refuseForNow);
        durationMs = performance.now() - startMs;
      },
      answer: async () => {
        if (isEqual !== 'busy') this.#remember(key, isEqual);
        end(isEqual);
        if (isEqual !== true) await sleep(PAUSE_FACTOR * durationMs, undefined, { ref: false });
      },
    });
    if (!isQueued) end('busy');
    return verdict;
  }

  /**
   * Compares, and always takes as long as for the hash with the highest cost: else the time of an answer would show
   * which users exist. bcrypt takes 2^cost rounds, and 2^4 + 2^4 + 2^5 + ... + 2^9 = 2^10.
   */
  async #compareAtCost(password: string, hash: string, maxCost: number): Promise<boolean> {
    const isEqual = await this.#compare(password, hash);
    for (let cost = costOf(hash); cost < maxCost; cost++) await this.#compare(password, dummyHash(cost));
    return isEqual;
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

function refuseForNow(error: Error): 'busy' {
  log('error', 'cannot check a password', { err: error.message });
  return 'busy';
}

function costOf(hash: string): number {
  return Number(hash.slice(4, 6));
}

function dummyHash(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$${DUMMY}`;
}

/** User and password from `Basic dXNlcjpwYXNzd29yZA==`. */
function parseCredentials(header: string | undefined): { user: string; password: string } | undefined {
  const encoded = /^basic +([a-z0-9+/]+=*)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
