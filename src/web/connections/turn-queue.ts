export interface Turn {
  takeTurn(): void;
}

/**
 * - `urgent`: a health check. It costs little, so many take their turns in a round.
 * - `first`: the first turn of a connection.
 * - `rest`: all other turns.
 */
export type Lane = 'urgent' | 'first' | 'rest';

const URGENT_TURNS = 16;
/** First turns in a round of the event loop. */
const FIRST_TURNS = 3;
/**
 * While clients connect, most rounds have urgent turns only. Then come the first turns of all clients that have
 * connected (up to two each): their scrapes share one exposition, which takes longer than all else that a connection
 * costs.
 */
const FIRST_TURNS_EVERY = 8;
const FIRST_TURNS_TOGETHER = 24;
const REST_TURN_EVERY = 16;

/**
 * Gives many connections their turns, a few in each round of the event loop. So requests that arrive together, in any
 * number, do not keep it from other work, and each connection waits for one turn of every other connection at most.
 * Health checks come first, so that a busy agent is not taken for a dead one. First turns come before the rest, so that
 * new connections do not wait for those that send one request after another.
 *
 * Rounds have to be short, because libuv accepts one connection in each: a client waits for as many rounds as clients
 * have connected before it.
 */
export class TurnQueue {
  readonly #lanes: Readonly<Record<Lane, Set<Turn>>> = { urgent: new Set(), first: new Set(), rest: new Set() };
  #isScheduled = false;
  #hasConnected = false;
  /** Rounds in a row in which a client has connected. */
  #connecting = 0;

  /** Says that a client has connected in this round: more may be waiting. */
  noteConnection(): void {
    this.#hasConnected = true;
  }

  /** Adds `turn` at the end of a lane, unless it waits there already. */
  add(turn: Turn, lane: Lane): void {
    this.#lanes[lane].add(turn);
    this.#schedule();
  }

  delete(turn: Turn): void {
    for (const waiting of Object.values(this.#lanes)) waiting.delete(turn);
  }

  #schedule(): void {
    const { urgent, first, rest } = this.#lanes;
    if (this.#isScheduled || urgent.size + first.size + rest.size === 0) return;
    this.#isScheduled = true;
    setImmediate(() => this.#run());
  }

  #run(): void {
    const { urgent, first, rest } = this.#lanes;
    this.#isScheduled = false;
    takeTurns(urgent, URGENT_TURNS);
    this.#connecting = this.#hasConnected ? this.#connecting + 1 : 0;
    this.#hasConnected = false;
    if (this.#connecting === 0) takeTurns(first, FIRST_TURNS);
    else if (this.#connecting % FIRST_TURNS_EVERY === 0) takeTurns(first, FIRST_TURNS_TOGETHER);
    if (this.#connecting % REST_TURN_EVERY === 0) takeTurns(rest, 1);
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
