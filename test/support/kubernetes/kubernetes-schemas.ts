/**
 * Checks objects against the published schemas of Kubernetes and of the Prometheus Operator, by the validators of the
 * package kubernetes-models. These ignore unknown fields, which `kubectl apply --validate=strict` refuses. A validator
 * reads every field that it knows, so a field that was not read is unknown.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const CORE = 'kubernetes-models';
const OPERATOR = '@kubernetes-models/prometheus-operator';

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

interface Validate {
  (value: unknown): boolean;
  errors: readonly { readonly instancePath: string; readonly message?: string; readonly keyword: string }[] | null;
}

/** API group -> package, and prefix of the names of its schemas. */
const GROUPS: Record<string, readonly [packageName: string, prefix: string]> = {
  '': [CORE, 'IoK8sApiCore'],
  apps: [CORE, 'IoK8sApiApps'],
  'networking.k8s.io': [CORE, 'IoK8sApiNetworking'],
  'rbac.authorization.k8s.io': [CORE, 'IoK8sApiRbac'],
  'monitoring.coreos.com': [OPERATOR, 'MonitoringCoreosCom'],
};

/** Everything that is wrong with an object; empty if it is valid. */
export function faultsOf(object: KubernetesObject): string[] {
  const validate = validatorOf(object);
  const unread = new Set<string>();
  const valid = validate(recordReads(object, '', unread));
  const errors = valid
    ? []
    : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message ?? error.keyword}`);
  return [...errors, ...Array.from(unread, (path) => `${path} is unknown`)];
}

function validatorOf({ apiVersion, kind }: KubernetesObject): Validate {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const [packageName, prefix] = GROUPS[group] ?? [];
  if (packageName === undefined) throw new Error(`${apiVersion}: no schemas for this group`);
  const name = `${prefix}${version.charAt(0).toUpperCase()}${version.slice(1)}${kind}.js`;
  return require(join(dirname(require.resolve(packageName)), '_schemas', name)).validate;
}

/** A proxy for the value. `unread` holds the paths of its fields, and loses each path that is read. */
function recordReads(value: unknown, path: string, unread: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const children = new Map<string, unknown>();
  for (const [key, child] of Object.entries(value)) {
    unread.add(`${path}/${key}`);
    children.set(key, recordReads(child, `${path}/${key}`, unread));
  }
  return new Proxy(value, {
    get(target, key) {
      if (typeof key !== 'string' || !children.has(key)) return Reflect.get(target, key);
      unread.delete(`${path}/${key}`);
      return children.get(key);
    },
  });
}
