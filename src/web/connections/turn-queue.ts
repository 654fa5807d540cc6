export interface Turn {
  takeTurn(): void;
}

/**
 * Gives many connections their turns, one in each round of the event loop. So requests that arrive together, in any
 * number, do not keep it from other work, and each connection waits for one turn of every other connection at most.
 *
 * Rounds have to be short, because libuv accepts one connection in each: a client waits for as many rounds as clients
 * have connected before it.
 */
export class TurnQueue {
  readonly #waiting = new Set<Turn>();
  #isScheduled = false;

  /** Adds `turn` at the end, unless it waits already. */
  add(turn: Turn): void {
    this.#waiting.add(turn);
    this.#schedule();
  }

  delete(turn: Turn): void {
    this.#waiting.delete(turn);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.size === 0) return;
    this.#isScheduled = true;
    setImmediate(() => this.#run());
  }

  #run(): void {
    this.#isScheduled = false;
    for (const turn of this.#waiting) {
      this.#waiting.delete(turn);
      turn.takeTurn();
      break;
    }
    this.#schedule();
  }
}
