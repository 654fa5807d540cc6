import { hostname, release } from 'node:os';
import {
  detectResources,
  envDetector,
  hostDetector,
  osDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources';

/** What tells this agent's metrics from those of others, as far as it is not the host's own to say. */
export interface Origin {
  readonly version: string;
  /** host:port of /metrics, as Prometheus would call the instance. */
  readonly port: string;
  readonly containerId: string;
  /** `k8s.node.name` and the like. */
  readonly kubernetes: Readonly<Record<string, string>>;
}

/**
 * host.*, os.*, process.pid, service.*, k8s.*, container.id; what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say goes before all else.
 *
 * In a pod, the host's own name is the node's: the figures are about the node. Its machine-id is not the container's, so host.id is left out.
 */
export function resourceOf({ version, port, containerId, kubernetes }: Origin): Resource {
  const node = kubernetes['k8s.node.name'];
  const host = node ?? hostname();
  const detectors = node === undefined && containerId === '' ? [hostDetector, osDetector] : [osDetector];
  return detectResources({ detectors })
    .merge(
      resourceFromAttributes({
        'service.name': 'kvm-exit-exporter',
        'service.version': version,
        'service.instance.id': port === '' ? host : `${host}:${port}`,
        'host.name': host,
        'host.arch': ARCH[process.arch] ?? process.arch,
        'os.version': release(),
        'process.pid': process.pid,
        'process.runtime.name': 'nodejs',
        'process.runtime.version': process.versions.node,
        ...(containerId === '' ? {} : { 'container.id': containerId }),
        ...kubernetes,
      }),
    )
    .merge(detectResources({ detectors: [envDetector] }));
}

/** OpenTelemetry's names for Node's. */
const ARCH: Record<string, string> = { x64: 'amd64', ia32: 'x86', arm: 'arm32', ppc: 'ppc32' };
