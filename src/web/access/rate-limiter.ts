import type { RateLimit } from './parse-web-config.js';

/** A token bucket: `burst` requests at once, then one per `interval`. */
export class RateLimiter {
  #tokens = Number.POSITIVE_INFINITY;
  #atMs = 0;

  allow(limit: RateLimit | undefined, nowMs: number): boolean {
    if (limit === undefined) return true;
    this.#tokens = Math.min(limit.burst, this.#tokens + (nowMs - this.#atMs) / limit.intervalMs);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
