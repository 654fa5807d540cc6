/** What an attack is, and the limits that must hold during each. */

/** The agent under attack. */
export interface Target {
  readonly pid: number;
  readonly port: number;
  /** Scheme, host and port. */
  readonly url: string;
}

export interface Attack {
  /** `network`: a client of the web server, or a peer that the agent asks. `tenant`: a user or VM of the host. */
  readonly class: 'network' | 'tenant';
  readonly name: string;
  /** The command that the agent runs. */
  readonly command: 'demo' | 'run';
  /** Prepares files and peers in `folder`. Returns the agent's arguments. */
  readonly prepare?: (folder: string) => Promise<readonly string[]>;
  /** Attacks until `signal` is aborted. It runs in a process of its own. */
  readonly attack: (target: Target, signal: AbortSignal) => Promise<void>;
  /** Returns what does not hold besides the limits, or undefined. It is called during the attack. */
  readonly check?: (target: Target) => Promise<string | undefined>;
  /** Authorization header of the agent's own checks. */
  readonly authorization?: string;
}

/** Resident memory, in bytes. */
export const MAX_MEMORY = 200e6;
/** Longest stall of the event loop, by the agent's own metric. */
export const MAX_STALL_SECONDS = 0.2;
/** Longest time in which /-/healthy answers. */
export const MAX_HEALTHY_SECONDS = 1;
