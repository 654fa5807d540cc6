/**
 * Keeps a list of the pods of one node up to date: it requests the list, then watches for changes from that version on.
 *
 *   GET /api/v1/pods?fieldSelector=spec.nodeName=NODE&resourceVersion=0                         all pods
 *   GET /api/v1/pods?fieldSelector=...&watch=1&resourceVersion=1452&allowWatchBookmarks=true    changes
 *
 * It runs in the background; neither counting nor scraping waits for it. A failure is logged once, and the request is
 * repeated after a pause that doubles each time. Every pause has a random part, because all nodes of a cluster use the
 * same server. Known pods are kept meanwhile.
 */
import { setImmediate as endOfTurn, setTimeout as sleep } from 'node:timers/promises';
import { SourceCounts } from '../count/counters/source-counts.js';
import { AgentError } from '../system/errors.js';
import { log } from '../system/log.js';
import { type ApiClient, ApiError, parseJson } from './api-client.js';
import { KnownPods } from './known-pods.js';
import { listPods, MAX_POD_LENGTH, podsPath } from './list-pods.js';
import { type Pod, parsePodChange } from './pod.js';

/** Metadata only, as in a list. */
const ACCEPT = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';
const HTTP_GONE = 410;

export interface PodWatchOptions {
  /** Name of the node. */
  readonly node: string;
  /** How long a deleted pod is kept. */
  readonly keepDeletedMs: number;
  readonly times?: WatchTimes;
}

/** Durations in milliseconds. */
export interface WatchTimes {
  /** Timeout of a list. */
  readonly listMs: number;
  /** Duration of a watch, after which the server ends it. */
  readonly watchMs: number;
  /** Additional time for that end to arrive. */
  readonly watchGraceMs: number;
  /**
   * Longest time without a byte of a watch. A server sends a bookmark each minute, even if nothing changes
   * (`kube-apiserver`, watchCache), so after three minutes the connection is lost, although nothing has closed it.
   */
  readonly watchSilenceMs: number;
  readonly minPauseMs: number;
  readonly maxPauseMs: number;
}

/** Malformed lines after which this program gives a watch up for a while: a failed JSON.parse throws, which is slow. */
const MAX_MALFORMED = 100;

const DEFAULT_TIMES: WatchTimes = {
  listMs: 30_000,
  watchMs: 300_000,
  watchGraceMs: 30_000,
  watchSilenceMs: 180_000,
  minPauseMs: 1000,
  maxPauseMs: 60_000,
};

export class PodWatch {
  /** `up`: the watch is running. `events`: changes received. `malformed`: lines of a watch that could not be parsed. */
  readonly counts = new SourceCounts();
  readonly #client: ApiClient;
  readonly #node: string;
  readonly #times: WatchTimes;
  readonly #pods: KnownPods;
  /** The failure that was logged last; '' while the watch works. */
  #problem = '';

  constructor(client: ApiClient, { node, keepDeletedMs, times = DEFAULT_TIMES }: PodWatchOptions) {
    this.#client = client;
    this.#node = node;
    this.#times = times;
    this.#pods = new KnownPods(keepDeletedMs);
    this.counts.up = false;
  }

  /** @param uid as the name of the pod's cgroup contains it */
  readonly podOf = (uid: string): Pod | undefined => this.#pods.find(uid);

  /** Runs until `signal` is aborted. Failures of the server do not end it. */
  async run(signal: AbortSignal): Promise<void> {
    const { minPauseMs, maxPauseMs } = this.#times;
    for (let pauseMs = minPauseMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
      try {
        const { pods, version } = await listPods(this.#client, this.#node, this.#times.listMs, signal);
        this.#pods.replace(pods);
        pauseMs = minPauseMs;
        this.#reportSuccess();
        await this.#watch(version, signal);
        await this.#pause(minPauseMs, signal);
      } catch (error) {
        if (signal.aborted) break;
        this.#reportFailure(error);
        const retryAfterMs = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
        await this.#pause(Math.max(retryAfterMs, pauseMs), signal);
      }
    }
    this.counts.up = false;
  }

  /** Waits for `ms` to twice that. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await sleep(ms * (1 + Math.random()), undefined, { signal }).catch(() => {});
  }

  /** Applies changes until the version is too old for the server and the list has to be requested again. */
  async #watch(from: string, signal: AbortSignal): Promise<void> {
    const { watchMs, watchGraceMs, minPauseMs } = this.#times;
    for (let version = from; !signal.aborted; ) {
      const startMs = performance.now();
      // From three to five quarters of the duration, so that the watches of all nodes do not end at the same moment.
      const seconds = Math.ceil((watchMs * (0.75 + Math.random() / 2)) / 1000);
      const query = `&watch=1&allowWatchBookmarks=true&timeoutSeconds=${seconds}&resourceVersion=${version}`;
      const lines = this.#getLines(podsPath(this.#node) + query, seconds * 1000 + watchGraceMs, signal);
      const malformedBefore = this.counts.malformed.get('line') ?? 0;
      try {
        for await (const line of lines) {
          version = this.#apply(line, version);
          if ((this.counts.malformed.get('line') ?? 0) - malformedBefore >= MAX_MALFORMED)
            throw new AgentError(`the API server sent ${MAX_MALFORMED} lines that are no changes of pods`);
        }
      } catch (error) {
        if (error instanceof ApiError && error.status === HTTP_GONE) return;
        throw error;
      }
      // Avoids a tight loop of requests if the server ends each watch at once.
      if (performance.now() - startMs < minPauseMs) await this.#pause(minPauseMs, signal);
    }
  }

  /** Returns the version after the change. */
  #apply(line: string, version: string): string {
    const change = parsePodChange(parseJson(line));
    if (change === undefined) {
      this.counts.addMalformed('line');
      return version;
    }
    if (change.kind === 'error') throw new ApiError(change.code, `the API server ended the watch: ${change.message}`);
    this.counts.events++;
    if (change.kind === 'present') this.#pods.put(change.pod);
    else if (change.kind === 'deleted') this.#pods.delete(change.pod);
    return change.version;
  }

  async *#getLines(path: string, timeoutMs: number, signal: AbortSignal): AsyncGenerator<string> {
    let rest = '';
    const options = { accept: ACCEPT, timeoutMs, silenceMs: this.#times.watchSilenceMs };
    for await (const chunk of this.#client.get(path, options, signal)) {
      // Only a whole line is searched, so that a long one in many chunks is searched once.
      const end = chunk.lastIndexOf('\n');
      const lines = end < 0 ? [] : (rest + chunk.slice(0, end)).split('\n');
      rest = (end < 0 ? rest : '') + chunk.slice(end + 1);
      if (rest.length > MAX_POD_LENGTH)
        throw new AgentError(`the API server sent a line of more than ${MAX_POD_LENGTH} characters`);
      yield* lines.filter((line) => line !== '');
      // Chunks that have arrived already would follow at once, without a turn for other work.
      await endOfTurn();
    }
  }

  #reportSuccess(): void {
    if (!this.counts.up && this.#pods.size > 0)
      log('info', 'watching the pods of this node', { pods: this.#pods.size });
    else if (!this.counts.up) log('warn', noPodsOf(this.#node));
    this.counts.up = true;
    this.#problem = '';
  }

  /** Logs a failure, unless it is the same as the last one. */
  #reportFailure(error: unknown): void {
    this.counts.up = false;
    const problem = error instanceof Error ? error.message : String(error);
    if (problem !== this.#problem) log('warn', 'cannot get pod names from the API server', { err: problem });
    this.#problem = problem;
  }
}

/** An agent in a pod is itself one of the node's pods. */
export function noPodsOf(node: string): string {
  return `the API server knows no pod of node "${node}"; check the node's name: --kubernetes.node, or K8S_NODE_NAME from spec.nodeName`;
}
