import { putPod } from './list-pods.js';
import type { Pod } from './pod.js';

/** Deleted pods that are kept. */
const MAX_DELETED = 5000;

interface DeletedPod {
  readonly pod: Pod;
  readonly deletedMs: number;
}

/**
 * The pods of one node. A deleted pod is kept for a while: its VM may have run for so short a time that no scrape has
 * asked for its pod yet.
 */
export class KnownPods {
  #pods: Map<string, Pod> = new Map();
  /** Keyed by uid, in the order of deletion. */
  readonly #deleted = new Map<string, DeletedPod>();
  readonly #keepMs: number;
  readonly #now: () => number;

  /** @param keepMs how long a deleted pod is kept */
  constructor(keepMs: number, now: () => number = () => performance.now()) {
    this.#keepMs = keepMs;
    this.#now = now;
  }

  /** Number of pods that are not deleted. */
  get size(): number {
    return this.#pods.size;
  }

  find(uid: string): Pod | undefined {
    this.#forgetOld();
    return this.#pods.get(uid) ?? this.#deleted.get(uid)?.pod;
  }

  /** @throws AgentError if there are too many pods */
  put(pod: Pod): void {
    this.#deleted.delete(pod.uid);
    putPod(this.#pods, pod);
  }

  delete(pod: Pod): void {
    this.#pods.delete(pod.uid);
    this.#deleted.delete(pod.uid);
    this.#deleted.set(pod.uid, { pod, deletedMs: this.#now() });
    this.#forgetOld();
  }

  /** Takes over a new list. The pods that are not in it were deleted. */
  replace(pods: Map<string, Pod>): void {
    const known = this.#pods;
    this.#pods = pods;
    for (const uid of pods.keys()) this.#deleted.delete(uid);
    for (const [uid, pod] of known) if (!pods.has(uid)) this.delete(pod);
  }

  #forgetOld(): void {
    const nowMs = this.#now();
    for (const [uid, { deletedMs }] of this.#deleted) {
      if (nowMs - deletedMs < this.#keepMs && this.#deleted.size <= MAX_DELETED) return;
      this.#deleted.delete(uid);
    }
  }
}
