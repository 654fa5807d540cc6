/** Comparisons that wait, at most: one for each connection. */
const MAX_WAITING = 512;
/** Requests of the same network that may come just after a scraper's and do not keep it out. */
const MAX_NEWER = 5;

export interface Waiting {
  /** The client's, as networkOf() says. */
  readonly network: string;
  /** True if no client waits for the result any more. */
  readonly isAbandoned: () => boolean;
  readonly compare: () => Promise<void>;
  /** Answers the clients. Resolves after a pause. */
  readonly answer: () => Promise<void>;
  /** Called instead of the other two. */
  readonly drop: () => void;
}

/**
 * Runs comparisons of passwords one at a time, so that guesses do not keep a scraper out. Networks take turns, so that
 * a scraper waits for one guess of each other network.
 *
 * In its own network the newest request is next in every second turn, because each guess that is answered is followed
 * by another, which is then older than the scraper's. Guesses that come just after the scraper's request stay above it,
 * because one comes for each that is answered. The turns between are for the request with {@link MAX_NEWER} above it:
 * each of them takes a request from below the scraper's and so moves it towards that place, until it is there.
 */
export class PasswordQueue {
  /** Network -> its requests, oldest first; networks in the order of their turns. */
  readonly #waiting = new Map<string, Waiting[]>();
  #size = 0;
  #turns = 0;
  #isRunning = false;

  /** False if too many are waiting. */
  add(waiting: Waiting): boolean {
    if (this.#size >= MAX_WAITING) return false;
    const known = this.#waiting.get(waiting.network);
    if (known === undefined) this.#waiting.set(waiting.network, [waiting]);
    else known.push(waiting);
    this.#size++;
    if (!this.#isRunning) void this.#run();
    return true;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let next = this.#takeNext(); next !== undefined; ) {
      const { isAbandoned, drop, compare, answer } = next;
      const isDropped = isAbandoned();
      if (!isDropped) await compare();
      // Before the answer, because the next guess follows it at once, and would be newer than a scraper's request.
      next = this.#takeNext();
      if (isDropped) drop();
      else await answer();
      next ??= this.#takeNext();
    }
    this.#isRunning = false;
  }

  #takeNext(): Waiting | undefined {
    const [[network, waiting] = ['', []]] = this.#waiting;
    const newer = this.#turns++ % 2 === 0 ? 0 : MAX_NEWER;
    const [next] = waiting.splice(Math.max(0, waiting.length - 1 - newer), 1);
    this.#waiting.delete(network);
    if (waiting.length > 0) this.#waiting.set(network, waiting);
    if (next !== undefined) this.#size--;
    return next;
  }
}
