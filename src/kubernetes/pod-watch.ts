/**
 * The pods of one node, kept up to date: a list, then a watch from there on, again and again.
 *
 *   GET /api/v1/pods?fieldSelector=spec.nodeName=NODE&resourceVersion=0                         all of them
 *   GET /api/v1/pods?fieldSelector=...&watch=1&resourceVersion=1452&allowWatchBookmarks=true    what changes
 *
 * Runs beside everything else: nobody waits for it. Whatever goes wrong is said once, and tried again after a pause that doubles and is
 * never the same on two nodes, as all of them ask one server. What was known stays known meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SourceCounts } from '../count/counters/source-counts.js';
import { AgentError } from '../system/errors.js';
import { log } from '../system/log.js';
import { ApiError, type ApiServer } from './api-server.js';
import { type Pod, readPodChange, readPodList } from './pod.js';

/** Servers that do not know the form (none since 1.15) answer with whole pods, which have the same metadata. */
const ACCEPT_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';
const ACCEPT_WATCH = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';
const PAGE = 500;
const GONE = 410;
/** Metadata of a node's pods: some 10 KB each. */
const MAX_LIST = 64 << 20;
const MAX_LINE = 8 << 20;

export interface PodWatchOptions {
  /** The node's name. */
  readonly node: string;
  /** In milliseconds: for a list; how long a watch goes on, and what its end may take beyond that; the first pause and the longest. */
  readonly times?: typeof TIMES;
}

const TIMES = { listMs: 30_000, watchMs: 300_000, slackMs: 30_000, firstPauseMs: 1000, longestPauseMs: 60_000 };

export class PodWatch {
  /** `up`: the watch is running. `events`: changes seen, `malformed`: lines that are none. */
  readonly counts = new SourceCounts();
  readonly #server: ApiServer;
  readonly #selector: string;
  readonly #times: typeof TIMES;
  #pods = new Map<string, Pod>();
  #problem = '';

  constructor(server: ApiServer, { node, times = TIMES }: PodWatchOptions) {
    this.#server = server;
    this.#selector = `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${node}`)}`;
    this.#times = times;
    this.counts.up = false;
  }

  /** By the uid that its cgroup has. */
  readonly of = (uid: string): Pod | undefined => this.#pods.get(uid);

  /** Until told to stop. Never throws but for a bug. */
  async run(signal: AbortSignal): Promise<void> {
    const { firstPauseMs, longestPauseMs } = this.#times;
    for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      try {
        const version = await this.#list(signal);
        pauseMs = firstPauseMs;
        this.#works();
        await this.#watch(version, signal);
        await this.#pause(firstPauseMs, signal);
      } catch (error) {
        if (signal.aborted) break;
        this.#fails(error);
        const askedMs = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
        await this.#pause(Math.max(askedMs, pauseMs), signal);
      }
    }
    this.counts.up = false;
  }

  /** So long or up to twice. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await sleep(ms * (1 + Math.random()), undefined, { signal }).catch(() => {});
  }

  /** Returns the version that the list shows. */
  async #list(signal: AbortSignal): Promise<string> {
    const pods = new Map<string, Pod>();
    // Any version will do for a start, so the server need not ask its database.
    for (let query = '&resourceVersion=0'; ; ) {
      const path = `${this.#selector}&limit=${PAGE}${query}`;
      const list = readPodList(await this.#json(path, signal));
      if (list === undefined)
        throw new AgentError('the API server has answered with something that is no list of pods');
      for (const pod of list.pods) pods.set(pod.uid, pod);
      if (list.next === '') {
        this.#pods = pods;
        return list.version;
      }
      query = `&continue=${encodeURIComponent(list.next)}`;
    }
  }

  /** Ends, without an error, where the list must be asked for again. */
  async #watch(from: string, signal: AbortSignal): Promise<void> {
    const { watchMs, slackMs, firstPauseMs } = this.#times;
    for (let version = from; !signal.aborted; ) {
      const startMs = performance.now();
      // Not all nodes at the same moment, so more or less of it.
      const seconds = Math.ceil((watchMs * (0.75 + Math.random() / 2)) / 1000);
      const query = `&watch=1&allowWatchBookmarks=true&timeoutSeconds=${seconds}&resourceVersion=${version}`;
      const lines = this.#lines(this.#selector + query, seconds * 1000 + slackMs, signal);
      try {
        for await (const line of lines) version = this.#apply(line, version);
      } catch (error) {
        if (error instanceof ApiError && error.status === GONE) return;
        throw error;
      }
      // A server that ends each watch at once must not be asked in a tight loop.
      if (performance.now() - startMs < firstPauseMs) await this.#pause(firstPauseMs, signal);
    }
  }

  #apply(line: string, version: string): string {
    const change = readPodChange(parse(line));
    if (change === undefined) {
      this.counts.addMalformed('line');
      return version;
    }
    if (change.kind === 'error') throw new ApiError(change.code, `the API server ends the watch: ${change.message}`);
    this.counts.events++;
    if (change.kind === 'there') this.#pods.set(change.pod.uid, change.pod);
    else if (change.kind === 'gone') this.#pods.delete(change.pod.uid);
    return change.version;
  }

  async #json(path: string, signal: AbortSignal): Promise<unknown> {
    let text = '';
    for await (const chunk of this.#server.get(path, ACCEPT_LIST, this.#times.listMs, signal)) {
      text += chunk;
      if (text.length > MAX_LIST)
        throw new AgentError(`the API server's list of pods is longer than ${MAX_LIST} bytes`);
    }
    return parse(text);
  }

  async *#lines(path: string, timeoutMs: number, signal: AbortSignal): AsyncGenerator<string> {
    let rest = '';
    for await (const chunk of this.#server.get(path, ACCEPT_WATCH, timeoutMs, signal)) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE) throw new AgentError(`the API server has sent a line of more than ${MAX_LINE} bytes`);
      yield* lines.filter((line) => line !== '');
    }
  }

  #works(): void {
    if (!this.counts.up) log('info', 'the API server tells of the pods of this node', { pods: this.#pods.size });
    this.counts.up = true;
    this.#problem = '';
  }

  /** Says it once, and again where it is another problem. */
  #fails(error: unknown): void {
    this.counts.up = false;
    const problem = error instanceof Error ? error.message : String(error);
    if (problem !== this.#problem) log('warn', 'no names of pods from the API server', { err: problem });
    this.#problem = problem;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
