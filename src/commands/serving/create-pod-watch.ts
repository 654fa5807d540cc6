import { clusterEnvironment } from '../../config/cluster-environment.js';
import type { GetOption } from '../../config/options.js';
import { ApiClient } from '../../kubernetes/api-client.js';
import { PodWatch } from '../../kubernetes/pod-watch.js';
import { AgentError } from '../../system/errors.js';

/** Time that a deleted pod is kept longer than its VM: the agent may find out later that the VM has stopped. */
const EXTRA_GRACE_MS = 60_000;

/** Undefined without --kubernetes. @throws AgentError if the node or the API server is not known */
export function createPodWatch(get: GetOption): PodWatch | undefined {
  if (!get('kubernetes')) return undefined;
  const { client, node } = podSource(get);
  return new PodWatch(client, { node, keepDeletedMs: get('vm.grace-period') * 1000 + EXTRA_GRACE_MS });
}

/** The API server that lists the pods of this node. @throws AgentError if the node or the API server is not known */
export function podSource(get: GetOption): { readonly client: ApiClient; readonly node: string } {
  const environment = clusterEnvironment();
  const node = get('kubernetes.node') ?? environment.node;
  if (node === undefined)
    throw new AgentError(
      '--kubernetes: the name of this node is not known; give --kubernetes.node, or in a pod set K8S_NODE_NAME from spec.nodeName',
    );
  const url = get('kubernetes.api-server') ?? environment.apiServer;
  if (url === undefined)
    throw new AgentError(
      '--kubernetes: KUBERNETES_SERVICE_HOST is not set, so this is not a pod; give --kubernetes.api-server',
    );
  const tokenFile = get('kubernetes.token-file');
  const caFile = get('kubernetes.ca-file');
  return { client: new ApiClient({ url, tokenFile, caFile }), node };
}
