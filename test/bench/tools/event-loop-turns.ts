import { CpuTime } from '../../../src/expose/cpu-time.js';

const TURN_MS = 2;

/**
 * Measures the time between two turns of the event loop. EventLoopStalls, the agent's own figure, costs less, but may
 * be 50 ms too short.
 */
export class EventLoopTurns {
  longestMs = 0;
  /** CPU time of the thread between two turns. */
  mostWorkMs = 0;
  readonly #timer: NodeJS.Timeout;

  constructor() {
    const cpuTime = new CpuTime();
    let [atMs, cpuMs] = [performance.now(), cpuTime.totalMs()];
    this.#timer = setInterval(() => {
      const [nowMs, nowCpuMs] = [performance.now(), cpuTime.totalMs()];
      const lateMs = nowMs - atMs - TURN_MS;
      this.longestMs = Math.max(this.longestMs, lateMs);
      this.mostWorkMs = Math.max(this.mostWorkMs, Math.min(lateMs, nowCpuMs - cpuMs));
      [atMs, cpuMs] = [nowMs, nowCpuMs];
    }, TURN_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
