/**
 * Requests the pods of one node:
 *
 *   GET /api/v1/pods?fieldSelector=spec.nodeName=NODE&limit=500&resourceVersion=0
 */
import { AgentError } from '../system/errors.js';
import { type ApiClient, parseJson } from './api-client.js';
import { ListReader } from './list-reader.js';
import { type Pod, type PodList, parsePod, parsePodList } from './pod.js';

/**
 * Metadata only. A server that does not support this (none since 1.15) sends whole pods, which contain the same
 * metadata.
 */
const ACCEPT = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';
const PODS_PER_REQUEST = 500;
/** Kubernetes recommends at most 110 pods per node. */
const MAX_PODS = 5000;
const MAX_PARTS = 100;
/** Characters of one pod. Its metadata have about 10 KB, and etcd stores at most 1.5 MB of an object. */
export const MAX_POD_LENGTH = 2 << 20;
const LIST_LIMITS = { item: MAX_POD_LENGTH, outline: 64 << 10 };
const MAX_LIST_LENGTH = 64 << 20;

export interface ListedPods {
  /** Uid -> pod. */
  readonly pods: Map<string, Pod>;
  /** Version of the cluster's state, from which a watch continues. */
  readonly version: string;
}

export function podsPath(node: string): string {
  return `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${node}`)}`;
}

/**
 * @param timeoutMs for each part of the list
 * @throws ApiError if the server refuses, AgentError if it cannot be reached or its answer is not a list of pods
 */
export async function listPods(
  client: ApiClient,
  node: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ListedPods> {
  const pods = new Map<string, Pod>();
  // Version 0 accepts any version that the server has in memory, so that it does not query its database.
  let query = '&resourceVersion=0';
  for (let part = 0; part < MAX_PARTS; part++) {
    const path = `${podsPath(node)}&limit=${PODS_PER_REQUEST}${query}`;
    const body = client.get(path, { accept: ACCEPT, timeoutMs, compressed: true }, signal);
    const { version, next } = await readPart(body, pods);
    if (next === '') return { pods, version };
    query = `&continue=${encodeURIComponent(next)}`;
  }
  throw new AgentError(`the API server's list of pods has more than ${MAX_PARTS} parts`);
}

/** Adds the pods of one part of the list. */
async function readPart(body: AsyncIterable<string>, pods: Map<string, Pod>): Promise<PodList> {
  const reader = new ListReader(LIST_LIMITS);
  let length = 0;
  for await (const chunk of body) {
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

/** @throws AgentError if there are too many pods */
export function putPod(pods: Map<string, Pod>, pod: Pod): void {
  pods.set(pod.uid, pod);
  if (pods.size > MAX_PODS) throw new AgentError(`the API server reports more than ${MAX_PODS} pods of one node`);
}
