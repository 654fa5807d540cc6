/** What a pod's environment says about its cluster. */
import type { Environment } from './environment.js';

export interface ClusterEnvironment {
  /** Undefined outside a pod. */
  readonly apiServer: URL | undefined;
  readonly node: string | undefined;
}

/**
 * Kubelet sets KUBERNETES_SERVICE_HOST and _PORT; the manifest in deploy/kubernetes sets K8S_NODE_NAME (spec.nodeName).
 */
export function clusterEnvironment(environment: Environment = process.env): ClusterEnvironment {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, K8S_NODE_NAME: node } = environment;
  const authority = `${host?.includes(':') ? `[${host}]` : host}:${port || '443'}`;
  return { apiServer: host ? new URL(`https://${authority}`) : undefined, node: node || undefined };
}

/** Variables that a pod's manifest fills in by the downward API, and the resource attributes made from them. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  K8S_CLUSTER_NAME: 'k8s.cluster.name',
  K8S_NAMESPACE_NAME: 'k8s.namespace.name',
  K8S_NODE_NAME: 'k8s.node.name',
  K8S_POD_NAME: 'k8s.pod.name',
  K8S_POD_UID: 'k8s.pod.uid',
  K8S_CONTAINER_NAME: 'k8s.container.name',
};

/** OpenTelemetry resource attributes of the pod that this program runs in. */
export function kubernetesAttributes(environment: Environment = process.env): Record<string, string> {
  return Object.fromEntries(
    Object.entries(ATTRIBUTES).flatMap(([variable, attribute]) => {
      const value = environment[variable];
      return value === undefined || value === '' ? [] : [[attribute, value]];
    }),
  );
}
