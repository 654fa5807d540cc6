import { clusterEnvironment } from '../../config/cluster-environment.js';
import type { GetOption } from '../../config/options.js';
import { ApiClient } from '../../kubernetes/api-client.js';
import { PodWatch } from '../../kubernetes/pod-watch.js';
import { AgentError } from '../../system/errors.js';

/** What tells of pods, where the flags ask for it. @throws AgentError where it stays open whom to ask, or for what */
export function podWatch(get: GetOption): PodWatch | undefined {
  if (!get('kubernetes')) return undefined;
  const around = clusterEnvironment();
  const node = get('kubernetes.node') ?? around.node;
  if (node === undefined)
    throw new AgentError(
      '--kubernetes: which node is this? give --kubernetes.node, in a pod as K8S_NODE_NAME from spec.nodeName',
    );
  const url = get('kubernetes.api-server') ?? around.apiServer;
  if (url === undefined)
    throw new AgentError(
      '--kubernetes: KUBERNETES_SERVICE_HOST is not set, so this is no pod; give --kubernetes.api-server',
    );
  const client = new ApiClient({
    url,
    tokenFile: get('kubernetes.token-file'),
    caFile: get('kubernetes.ca-file'),
  });
  return new PodWatch(client, { node });
}
