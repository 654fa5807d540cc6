import { type Profiler, Session } from 'node:inspector';

/** Records which blocks of src/ have run, with V8's precise coverage through the inspector. */
export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();
  #isStopped = false;

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** The number of blocks that have run, counted once for each order of magnitude of runs. */
  get size(): number {
    return this.#seen.size;
  }

  /** True if a block ran for the first time since the last call, or reached 2, 11, 101 ... runs for the first time. */
  hasNew(): boolean {
    const before = this.#seen.size;
    // The callback runs before post() returns, because the session belongs to this thread.
    this.#session.post('Profiler.takePreciseCoverage', (_error, answer) => this.#note(answer.result));
    return this.#seen.size > before;
  }

  /** Ends the measurement, so that code runs at full speed again. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.post('Profiler.disable');
    this.#session.disconnect();
  }

  #note(scripts: readonly Profiler.ScriptCoverage[]): void {
    for (const { url, scriptId, functions } of scripts) {
      if (!url.includes('/build/src/')) continue;
      for (const { ranges } of functions)
        for (const { startOffset, endOffset, count } of ranges)
          if (count > 0)
            this.#seen.add(`${scriptId} ${startOffset} ${endOffset} ${count < 2 ? 0 : Math.ceil(Math.log10(count))}`);
    }
  }
}
