/** What a pod is told by its environment: where its cluster's API server is, and, where the manifest says so, on which node it runs. */
import type { Environment } from './environment.js';

export interface ClusterEnvironment {
  /** Undefined where this is no pod. */
  readonly apiServer: URL | undefined;
  readonly node: string | undefined;
}

/** KUBERNETES_SERVICE_HOST and _PORT are kubelet's, K8S_NODE_NAME is deploy/kubernetes' (spec.nodeName). */
export function clusterEnvironment(environment: Environment = process.env): ClusterEnvironment {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, K8S_NODE_NAME: node } = environment;
  const authority = `${host?.includes(':') ? `[${host}]` : host}:${port || '443'}`;
  return { apiServer: host ? new URL(`https://${authority}`) : undefined, node: node || undefined };
}
