/** Which blocks of src/ have run: V8's own precise coverage, asked through the inspector. */
import { type Profiler, Session } from 'node:inspector';

export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  get size(): number {
    return this.#seen.size;
  }

  /** Whether a block ran, or ran twice, ten times, a hundred times as often, for the first time since the last call. */
  hasNew(): boolean {
    const before = this.#seen.size;
    // Answers before it returns: the session is of this very thread.
    this.#session.post('Profiler.takePreciseCoverage', (_error, answer) => this.#note(answer.result));
    return this.#seen.size > before;
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
