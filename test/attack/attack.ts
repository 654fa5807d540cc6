/**
 * The frame of the attack suite: what an attack is, and the limits that must hold during each.
 *
 * An attack is an object in a list: below network/ for clients and peers, below tenant/ for users and VMs of the host.
 * list.ts joins the lists. For each attack, run-attack.ts
 *
 *   1. asks `skip` whether this machine can run it;
 *   2. calls `prepare` with an empty folder. Files, sockets and servers that it makes live in the process of the suite;
 *   3. starts `kvm-exit-exporter COMMAND` with 1024 descriptors and the arguments that `prepare` returned;
 *   4. calls `attack` in a process of its own (attacker.ts), so that it cannot slow the measurements. It may change its
 *      user by `process.setuid`, and ends its children when `signal` is aborted;
 *   5. asks /-/healthy ten times a second, and calls `check` in the middle of the attack;
 *   6. aborts `signal`, waits until the attacker has ended, calls `checkAfter`, reads the agent's own metrics, and
 *      sends it SIGTERM.
 *
 * `check` and `checkAfter` return what does not hold, or undefined. They can read `target.folder`, ask `target.url`,
 * and use what they share with `prepare`, but not with `attack`. The MAX_ limits below are checked for every attack.
 */

/** The agent under attack. */
export interface Target {
  readonly pid: number;
  readonly port: number;
  /** Scheme, host and port. */
  readonly url: string;
  /** The folder that `prepare` got. It is removed after the attack. */
  readonly folder: string;
}

export interface Attack {
  /** `network`: a client of the web server, or a peer that the agent asks. `tenant`: a user or VM of the host. */
  readonly class: 'network' | 'tenant';
  readonly name: string;
  /** The command that the agent runs. */
  readonly command: 'demo' | 'run';
  /** Returns the reason why this machine cannot run the attack (`needs root`), or undefined. */
  readonly skip?: () => string | undefined;
  /** Prepares files and peers in `folder`. Returns the agent's arguments. */
  readonly prepare?: (folder: string) => Promise<readonly string[]>;
  /** Attacks until `signal` is aborted. */
  readonly attack: (target: Target, signal: AbortSignal) => Promise<void>;
  readonly check?: (target: Target) => Promise<string | undefined>;
  readonly checkAfter?: (target: Target) => Promise<string | undefined>;
  /** Authorization header of the suite's own requests. */
  readonly authorization?: string;
}

/** Resident memory, in bytes. */
export const MAX_MEMORY = 200e6;
/** Longest work of the event loop without a pause, in CPU time, by the agent's own metric. */
export const MAX_WORK_SECONDS = 0.2;
/** Longest time in which /-/healthy answers, less the time in which the agent waits for a CPU (cpu-wait.ts). */
export const MAX_HEALTHY_SECONDS = 1;
/** Longest time between SIGTERM and the agent's end, less the same. */
export const MAX_END_SECONDS = 2;
