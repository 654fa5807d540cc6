/** Asks the API server for the pods of this node, for `check`. */
import { existsSync } from 'node:fs';
import type { GetOption } from '../../config/options.js';
import { SERVICE_ACCOUNT_TOKEN } from '../../kubernetes/api-client.js';
import { listPods } from '../../kubernetes/list-pods.js';
import { noPodsOf } from '../../kubernetes/pod-watch.js';
import { AgentError } from '../../system/errors.js';
import { podSource } from '../serving/create-pod-watch.js';
import { type Finding, ok } from './finding.js';

const TIMEOUT_MS = 10_000;

/**
 * No finding without --kubernetes, except in a pod with a token: the arguments of its agent are not those of this
 * `check`.
 */
export async function probePods(get: GetOption): Promise<readonly Finding[]> {
  if (!get('kubernetes') && !existsSync(get('kubernetes.token-file') ?? SERVICE_ACCOUNT_TOKEN)) return [];
  try {
    const { client, node } = podSource(get);
    const { pods } = await listPods(client, node, TIMEOUT_MS, new AbortController().signal);
    return [pods.size > 0 ? ok(`${client.origin}: ${pods.size} on ${node}`) : warned(noPodsOf(node))];
  } catch (error) {
    if (error instanceof AgentError) return [warned(error.message)];
    throw error;
  }
}

/** The text says what to do, too. */
function warned(text: string): Finding {
  return { level: 'warn', text };
}
