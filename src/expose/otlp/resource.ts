import { hostname, release } from 'node:os';
import {
  defaultResource,
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
 * The OpenTelemetry resource: host.*, os.*, service.*, telemetry.sdk.*, k8s.*, container.id. OTEL_RESOURCE_ATTRIBUTES
 * and OTEL_SERVICE_NAME override all of these. There is no process.pid: Prometheus makes one target_info of each
 * resource, and with a second one after a restart no query can be joined with it.
 *
 * In a pod host.name is the node's name, because the metrics are about the node. host.id is omitted, because the
 * machine-id in a container is not the node's.
 */
export function resourceOf({ version, port, containerId, kubernetes }: AgentIdentity): Resource {
  const node = kubernetes['k8s.node.name'];
  const host = node ?? hostname();
  const detectors = node === undefined && containerId === '' ? [hostDetector, osDetector] : [osDetector];
  return defaultResource()
    .merge(detectResources({ detectors }))
    .merge(
      resourceFromAttributes(
        {
          'service.name': 'kvm-exit-exporter',
          'service.version': version,
          'service.instance.id': port === '' ? host : `${host}:${port}`,
          'host.name': host,
          'host.arch': ARCHITECTURES[process.arch] ?? process.arch,
          'os.version': release(),
          'process.runtime.name': 'nodejs',
          'process.runtime.version': process.versions.node,
          ...(containerId === '' ? {} : { 'container.id': containerId }),
          ...kubernetes,
        },
        { schemaUrl: SCHEMA_URL },
      ),
    )
    .merge(detectResources({ detectors: [envDetector] }));
}

/** The semantic conventions whose names of attributes are used here. */
const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.37.0';

/** OpenTelemetry's names of architectures by Node.js's names. */
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: 'x86', arm: 'arm32', ppc: 'ppc32' };
