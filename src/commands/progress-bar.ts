/** A progress bar on stderr, if that is a terminal and the work takes longer than a second. */
export class ProgressBar {
  readonly #total: number;
  readonly #startMs = performance.now();
  #done = 0;
  #shownMs = 0;

  constructor(total: number) {
    this.#total = total;
  }

  advance(bytes: number): void {
    this.#done += bytes;
    const nowMs = performance.now();
    if (!process.stderr.isTTY || nowMs - this.#startMs < 1000 || nowMs - this.#shownMs < 100) return;
    this.#shownMs = nowMs;
    const part = Math.min(1, this.#done / this.#total);
    const filled = Math.round(part * 40);
    process.stderr.write(`\r[${'#'.repeat(filled)}${'.'.repeat(40 - filled)}] ${Math.round(part * 100)} %`);
  }

  /** Erases the bar. */
  clear(): void {
    if (this.#shownMs > 0) process.stderr.write('\r\x1b[K');
    this.#shownMs = 0;
  }
}
