/**
 * Whether an object is one that Kubernetes, or the Prometheus Operator, would take: by the validators of kubernetes-models, which are made from
 * their published schemas. These let fields through that they do not know, as an API server does not (kubectl apply --validate=strict). But
 * a validator that knows a field looks at it: so what none has looked at is unknown.
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

/** API group -> package, and how its schemas are called. */
const GROUPS: Record<string, readonly [packageName: string, prefix: string]> = {
  '': [CORE, 'IoK8sApiCore'],
  apps: [CORE, 'IoK8sApiApps'],
  'networking.k8s.io': [CORE, 'IoK8sApiNetworking'],
  'rbac.authorization.k8s.io': [CORE, 'IoK8sApiRbac'],
  'monitoring.coreos.com': [OPERATOR, 'MonitoringCoreosCom'],
};

/** Empty where there is nothing to find fault with. */
export function faultsOf(object: KubernetesObject): string[] {
  const validate = validatorOf(object);
  const unseen = new Set<string>();
  const valid = validate(watched(object, '', unseen));
  const wrong = valid
    ? []
    : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message ?? error.keyword}`);
  return [...wrong, ...Array.from(unseen, (path) => `${path} is unknown`)];
}

function validatorOf({ apiVersion, kind }: KubernetesObject): Validate {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const [packageName, prefix] = GROUPS[group] ?? [];
  if (packageName === undefined) throw new Error(`${apiVersion}: no schemas for this group`);
  const name = `${prefix}${version.charAt(0).toUpperCase()}${version.slice(1)}${kind}.js`;
  return require(join(dirname(require.resolve(packageName)), '_schemas', name)).validate;
}

/** The same value; `unseen` has the paths of all that was not read of it. */
function watched(value: unknown, path: string, unseen: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const children = new Map<string, unknown>();
  for (const [key, child] of Object.entries(value)) {
    unseen.add(`${path}/${key}`);
    children.set(key, watched(child, `${path}/${key}`, unseen));
  }
  return new Proxy(value, {
    get(target, key) {
      if (typeof key !== 'string' || !children.has(key)) return Reflect.get(target, key);
      unseen.delete(`${path}/${key}`);
      return children.get(key);
    },
  });
}
