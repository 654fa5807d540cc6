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
import { setTimeout as sleep } from 'node:timers/promises';
import { SourceCounts } from '../count/counters/source-counts.js';
import { AgentError } from '../system/errors.js';
import { log } from '../system/log.js';
import { type ApiClient, ApiError, parseJson } from './api-client.js';
import { ListReader } from './list-reader.js';
import { type Pod, type PodList, parsePod, parsePodChange, parsePodList } from './pod.js';

/**
 * Metadata only. A server that does not support this (none since 1.15) sends whole pods, which contain the same
 * metadata.
 */
const ACCEPT_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';
const ACCEPT_WATCH = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';
const PODS_PER_REQUEST = 500;
const HTTP_GONE = 410;
/** Kubernetes recommends at most 110 pods per node. */
const MAX_PODS = 5000;
const MAX_PARTS = 100;
/** Limits in characters. The metadata of one pod have about 10 KB, and etcd stores at most 1.5 MB of an object. */
const MAX_LINE_LENGTH = 2 << 20;
const LIST_LIMITS = { item: MAX_LINE_LENGTH, outline: 64 << 10 };
const MAX_LIST_LENGTH = 64 << 20;

export interface PodWatchOptions {
  /** Name of the node. */
  readonly node: string;
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
  readonly minPauseMs: number;
  readonly maxPauseMs: number;
}

const DEFAULT_TIMES: WatchTimes = {
  listMs: 30_000,
  watchMs: 300_000,
  watchGraceMs: 30_000,
  minPauseMs: 1000,
  maxPauseMs: 60_000,
};

export class PodWatch {
  /** `up`: the watch is running. `events`: changes received. `malformed`: lines of a watch that could not be parsed. */
  readonly counts = new SourceCounts();
  readonly #client: ApiClient;
  readonly #selector: string;
  readonly #times: WatchTimes;
  #pods = new Map<string, Pod>();
  /** The failure that was logged last; '' while the watch works. */
  #problem = '';

  constructor(client: ApiClient, { node, times = DEFAULT_TIMES }: PodWatchOptions) {
    this.#client = client;
    this.#selector = `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${node}`)}`;
    this.#times = times;
    this.counts.up = false;
  }

  /** @param uid as the name of the pod's cgroup contains it */
  readonly podOf = (uid: string): Pod | undefined => this.#pods.get(uid);

  /** Runs until `signal` is aborted. Failures of the server do not end it. */
  async run(signal: AbortSignal): Promise<void> {
    const { minPauseMs, maxPauseMs } = this.#times;
    for (let pauseMs = minPauseMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
      try {
        const version = await this.#list(signal);
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

  /** Replaces the known pods. Returns the list's version, from which a watch continues. */
  async #list(signal: AbortSignal): Promise<string> {
    const pods = new Map<string, Pod>();
    // Version 0 accepts any version that the server has in memory, so that it does not query its database.
    let query = '&resourceVersion=0';
    for (let part = 0; part < MAX_PARTS; part++) {
      const path = `${this.#selector}&limit=${PODS_PER_REQUEST}${query}`;
      const { version, next } = await this.#readPart(path, pods, signal);
      if (next === '') {
        this.#pods = pods;
        return version;
      }
      query = `&continue=${encodeURIComponent(next)}`;
    }
    throw new AgentError(`the API server's list of pods has more than ${MAX_PARTS} parts`);
  }

  /** Adds the pods of one part of the list. */
  async #readPart(path: string, pods: Map<string, Pod>, signal: AbortSignal): Promise<PodList> {
    const reader = new ListReader(LIST_LIMITS);
    let length = 0;
    for await (const chunk of this.#client.get(path, ACCEPT_LIST, this.#times.listMs, signal)) {
      length += chunk.length;
      const items = reader.read(chunk);
      let item = items.next();
      for (; item.done !== true; item = items.next()) {
        const pod = parsePod(parseJson(item.value));
        if (pod !== undefined) putPod(pods, pod);
      }
      if (!item.value || length > MAX_LIST_LENGTH)
        throw new AgentError("the API server's list of pods is too long, or a pod in it");
    }
    const list = parsePodList(parseJson(reader.outline));
    if (list === undefined) throw new AgentError("the API server's answer is not a list of pods");
    return list;
  }

  /** Applies changes until the version is too old for the server and the list has to be requested again. */
  async #watch(from: string, signal: AbortSignal): Promise<void> {
    const { watchMs, watchGraceMs, minPauseMs } = this.#times;
    for (let version = from; !signal.aborted; ) {
      const startMs = performance.now();
      // From three to five quarters of the duration, so that the watches of all nodes do not end at the same moment.
      const seconds = Math.ceil((watchMs * (0.75 + Math.random() / 2)) / 1000);
      const query = `&watch=1&allowWatchBookmarks=true&timeoutSeconds=${seconds}&resourceVersion=${version}`;
      const lines = this.#getLines(this.#selector + query, seconds * 1000 + watchGraceMs, signal);
      try {
        for await (const line of lines) version = this.#apply(line, version);
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
    if (change.kind === 'present') putPod(this.#pods, change.pod);
    else if (change.kind === 'deleted') this.#pods.delete(change.pod.uid);
    return change.version;
  }

  async *#getLines(path: string, timeoutMs: number, signal: AbortSignal): AsyncGenerator<string> {
    let rest = '';
    for await (const chunk of this.#client.get(path, ACCEPT_WATCH, timeoutMs, signal)) {
      // Only a whole line is searched, so that a long one in many chunks is searched once.
      const end = chunk.lastIndexOf('\n');
      const lines = end < 0 ? [] : (rest + chunk.slice(0, end)).split('\n');
      rest = (end < 0 ? rest : '') + chunk.slice(end + 1);
      if (rest.length > MAX_LINE_LENGTH)
        throw new AgentError(`the API server sent a line of more than ${MAX_LINE_LENGTH} characters`);
      yield* lines.filter((line) => line !== '');
    }
  }

  #reportSuccess(): void {
    if (!this.counts.up) log('info', 'watching the pods of this node', { pods: this.#pods.size });
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

function putPod(pods: Map<string, Pod>, pod: Pod): void {
  pods.set(pod.uid, pod);
  if (pods.size > MAX_PODS) throw new AgentError(`the API server reports more than ${MAX_PODS} pods of one node`);
}
