/** What to change about a VM. */
export interface FocusFinding {
  readonly vm: string;
  readonly rule: { readonly severity: string };
}

export interface AutoFocusOptions {
  /** VMs in focus at a time. */
  readonly maxVms: number;
  /** Part of its time that the busiest vCPU of a VM may spend on being in focus. */
  readonly budget: number;
  /** Those that cost most first. */
  readonly findings: () => readonly FocusFinding[];
}

/** A VM is in focus so long at most. */
const FOCUS_MS = 60_000;
/** A focus that would take longer than this to make up for ends early. */
const MAX_REST_MS = 600_000;
/**
 * Seconds that an exit to KVM costs its vCPU in focus at most: an exit, an entry, and an access or another event, of
 * 500 ns each (docs/overhead.md).
 */
const SECONDS_PER_EXIT = 3 * 500e-9;

/** Thread of a VM -> its exits to KVM. */
type ExitsByThread = ReadonlyMap<number, number>;

interface Turn {
  readonly sinceMs: number;
  /** Those until then. */
  readonly exits: ExitsByThread;
}

/**
 * Chooses VMs with a warning for a minute each. After that a VM rests until its focus has cost no more, on average,
 * than the budget allows. While it is in focus it may cost more.
 */
export class AutoFocus {
  readonly #options: AutoFocusOptions;
  /** VMs in focus. */
  readonly #turns = new Map<string, Turn>();
  /** VM -> time until which it rests. */
  readonly #restUntilMs = new Map<string, number>();

  constructor(options: AutoFocusOptions) {
    this.#options = options;
  }

  has(label: string): boolean {
    return this.#turns.has(label);
  }

  /**
   * Ends and begins turns.
   * @param exitsOf exits of a VM that were seen so far: all of them while it is in focus
   */
  choose(nowMs: number, exitsOf: (label: string) => ExitsByThread): void {
    const { maxVms, findings } = this.#options;
    const warned = new Set(
      findings()
        .filter(({ rule }) => rule.severity === 'warning')
        .map(({ vm }) => vm),
    );
    for (const [label, untilMs] of this.#restUntilMs) if (nowMs >= untilMs) this.#restUntilMs.delete(label);
    for (const [label, turn] of this.#turns) {
      const tookMs = nowMs - turn.sinceMs;
      const neededMs = this.#neededMs(exitsOfBusiest(turn.exits, exitsOf(label)));
      if (warned.has(label) && tookMs < FOCUS_MS && neededMs - tookMs < MAX_REST_MS) continue;
      this.#turns.delete(label);
      // At least as long as it was in focus, so that each VM has its turn.
      this.#restUntilMs.set(label, nowMs + Math.max(tookMs, neededMs - tookMs));
    }
    for (const label of warned)
      if (this.#turns.size < maxVms && !this.#turns.has(label) && !this.#restUntilMs.has(label))
        this.#turns.set(label, { sinceMs: nowMs, exits: exitsOf(label) });
  }

  /** Time in which the budget allows so many exits in focus. */
  #neededMs(exits: number): number {
    return (1000 * exits * SECONDS_PER_EXIT) / this.#options.budget;
  }
}

/** The most exits that a thread had between two moments. */
function exitsOfBusiest(before: ExitsByThread, after: ExitsByThread): number {
  let most = 0;
  for (const [tid, exits] of after) most = Math.max(most, exits - (before.get(tid) ?? 0));
  return most;
}
