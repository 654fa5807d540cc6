import { hostname, release } from 'node:os';
import {
  detectResources,
  envDetector,
  hostDetector,
  osDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources';

/** What identifies the agent, besides the properties of the host. */
export interface AgentIdentity {
  readonly version: string;
  /** Port of /metrics, for an instance name like Prometheus' host:port; '' if unknown. */
  readonly port: string;
  /** '' outside of containers. */
  readonly containerId: string;
  /** Attributes such as `k8s.node.name`. */
  readonly kubernetes: Readonly<Record<string, string>>;
}

/**
 * The OpenTelemetry resource: host.*, os.*, process.pid, service.*, k8s.*, container.id. OTEL_RESOURCE_ATTRIBUTES and
 * OTEL_SERVICE_NAME override all of these.
 *
 * In a pod host.name is the node's name, because the metrics are about the node. host.id is omitted, because the
 * machine-id in a container is not the node's.
 */
export function resourceOf({ version, port, containerId, kubernetes }: AgentIdentity): Resource {
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
        'host.arch': ARCHITECTURES[process.arch] ?? process.arch,
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

/** OpenTelemetry's names of architectures by Node.js's names. */
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: 'x86', arm: 'arm32', ppc: 'ppc32' };
