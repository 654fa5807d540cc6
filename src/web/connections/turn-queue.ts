export interface Turn {
  takeTurn(): void;
}

/** First turns in a round of the event loop: more than the one connection that libuv accepts in it. */
const FIRST_TURNS = 3;
/** Rounds without other turns while clients connect. */
const MAX_SKIPPED = 16;

/**
 * Gives many connections their turns, a few in each round of the event loop. So requests that arrive together, in any
 * number, do not keep it from other work, and each connection waits for one turn of every other connection at most.
 * First turns come before the rest, so that new connections do not wait for those that send one request after another.
 *
 * Rounds have to be short, because libuv accepts one connection in each: a client waits for as many rounds as clients
 * have connected before it.
 */
export class TurnQueue {
  readonly #first = new Set<Turn>();
  readonly #rest = new Set<Turn>();
  #isScheduled = false;
  #hasConnected = false;
  #skipped = 0;

  /** Says that a client has connected in this round: more may be waiting. */
  noteConnection(): void {
    this.#hasConnected = true;
  }

  /** Adds `turn` at the end, unless it waits already. */
  add(turn: Turn, isFirst = false): void {
    (isFirst ? this.#first : this.#rest).add(turn);
    this.#schedule();
  }

  delete(turn: Turn): void {
    this.#first.delete(turn);
    this.#rest.delete(turn);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#first.size + this.#rest.size === 0) return;
    this.#isScheduled = true;
    setImmediate(() => this.#run());
  }

  #run(): void {
    this.#isScheduled = false;
    takeTurns(this.#first, FIRST_TURNS);
    const isSkipped = this.#hasConnected && this.#skipped < MAX_SKIPPED;
    this.#hasConnected = false;
    this.#skipped = isSkipped ? this.#skipped + 1 : 0;
    if (!isSkipped) takeTurns(this.#rest, 1);
    this.#schedule();
  }
}

function takeTurns(waiting: Set<Turn>, count: number): void {
  let left = count;
  for (const turn of waiting) {
    if (left-- === 0) break;
    waiting.delete(turn);
    turn.takeTurn();
  }
}
