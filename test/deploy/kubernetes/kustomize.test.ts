/** deploy/kubernetes: kustomize renders it, the schemas accept it, and it has the rights that the docs name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { faultsOf, type KubernetesObject } from '../../support/kubernetes/kubernetes-schemas.js';
import { COMPONENTS, type DaemonSet, needsKubectl, readYaml, render } from '../../support/kubernetes/kustomize.js';
import { ROOT } from '../../support/paths.js';

const kubectl = needsKubectl();

const find = <T extends KubernetesObject>(objects: readonly KubernetesObject[], kind: string, name?: string): T => {
  const found = objects.filter(
    (object) => object.kind === kind && (name ?? object.metadata.name) === object.metadata.name,
  );
  assert.equal(found.length, 1, `${found.length} objects are ${kind} ${name ?? ''}`);
  return found[0] as T;
};

/** The components whose bits are set. */
const combination = (bits: number) => COMPONENTS.filter((_, index) => (bits & (1 << index)) !== 0);

/** Combinations of up to two components, and of all but up to two. */
const COMBINATIONS = Array.from({ length: 1 << COMPONENTS.length }, (_, bits) => combination(bits)).filter(
  ({ length }) => length <= 2 || length >= COMPONENTS.length - 2,
);

describe('combinations of components', kubectl, () => {
  /** Object as JSON -> its faults. Most objects are equal in many combinations. */
  const checked = new Map<string, string[]>();

  const check = async (components: readonly string[]) => {
    const objects = await render(components);
    const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    assert.deepEqual([...new Set(names)], names, 'two objects have the same kind and name');
    for (const object of objects) {
      const text = JSON.stringify(object);
      const faults = checked.get(text) ?? faultsOf(object);
      checked.set(text, faults);
      assert.deepEqual(faults, [], `${object.kind} ${object.metadata.name} with ${components.join()}`);
    }
  };

  test('are rendered, and each object fits its schema, without unknown fields', async () => {
    const left = COMBINATIONS.values();
    const checkAll = async () => {
      for (const components of left) await check(components);
    };
    await Promise.all(Array.from({ length: availableParallelism() }, checkAll));
    const kinds = new Set(Array.from(checked.keys(), (text) => JSON.parse(text).kind));
    const expected = [
      'ClusterRole',
      'ClusterRoleBinding',
      'ConfigMap',
      'DaemonSet',
      'Namespace',
      'NetworkPolicy',
      'PodMonitor',
    ];
    assert.deepEqual([...kinds].sort(), [
      ...expected,
      'PrometheusRule',
      'ResourceQuota',
      'Service',
      'ServiceAccount',
      'ServiceMonitor',
    ]);
  });

  test('put every namespaced object into the namespace of the agent', async () => {
    for (const { kind, metadata } of await render(COMPONENTS)) {
      const isClusterWide = ['Namespace', 'ClusterRole', 'ClusterRoleBinding'].includes(kind);
      assert.equal(metadata.namespace, isClusterWide ? undefined : 'kvm-exit-exporter', `${kind} ${metadata.name}`);
    }
  });
});

describe("a user's namespace: and namePrefix:", kubectl, () => {
  const RENAMED = { namespace: 'monitoring', namePrefix: 'acme-' };

  test('reach every object and every reference', async () => {
    const objects = await render(COMPONENTS, RENAMED);
    for (const { kind, metadata } of objects)
      if (!['Namespace', 'ClusterRole', 'ClusterRoleBinding'].includes(kind))
        assert.equal(metadata.namespace, 'monitoring', `${kind} ${metadata.name}`);
    const { name, namespace } = find(objects, 'ServiceAccount', 'acme-kvm-exit-exporter').metadata;
    const binding = find(objects, 'ClusterRoleBinding', 'acme-kvm-exit-exporter');
    assert.deepEqual(binding.subjects, [{ kind: 'ServiceAccount', name, namespace }]);
    assert.equal(
      find<DaemonSet>(objects, 'DaemonSet', 'acme-kvm-exit-exporter').spec.template.spec.serviceAccountName,
      name,
    );
  });

  test('leave the namespace and its other pods alone', async () => {
    const objects = await render(
      COMPONENTS.filter((name) => name !== 'namespace'),
      RENAMED,
    );
    assert.deepEqual(
      objects.filter(({ kind }) => kind === 'Namespace'),
      [],
    );
    type Policy = KubernetesObject & { readonly spec: { readonly podSelector: { readonly matchLabels?: object } } };
    const policies = objects.filter(({ kind }) => kind === 'NetworkPolicy') as Policy[];
    assert.equal(policies.length, 3);
    for (const { metadata, spec } of policies)
      assert.equal(
        (spec.podSelector.matchLabels as Record<string, string> | undefined)?.['app.kubernetes.io/name'],
        'kvm-exit-exporter',
        metadata.name,
      );
  });
});

test('faults of an object are found: an unknown field, a missing one, one of another type', () => {
  const good = readYaml<DaemonSet>('deploy/kubernetes/base/daemonset.yaml');
  const spoil = (change: (pod: Record<string, unknown>) => void): string[] => {
    const labels = { 'app.kubernetes.io/name': 'x' };
    const bad = structuredClone({ ...good, spec: { ...good.spec, selector: { matchLabels: labels } } });
    change(bad.spec.template.spec as Record<string, unknown>);
    return faultsOf(bad);
  };
  assert.deepEqual(
    spoil(() => {}),
    [],
  );
  assert.deepEqual(
    spoil((pod) => {
      pod.hostPid = true;
    }),
    ['/spec/template/spec/hostPid is unknown'],
  );
  assert.match(
    spoil((pod) => {
      pod.hostPID = 'yes';
    }).join(),
    /\/spec\/template\/spec\/hostPID/,
  );
  assert.match(
    spoil((pod) => {
      pod.containers = undefined;
    }).join(),
    /\/spec\/template\/spec/,
  );
});

describe('the base', () => {
  const { spec } = readYaml<DaemonSet>('deploy/kubernetes/base/daemonset.yaml').spec.template;
  const [container] = spec.containers;

  test('is unprivileged, has no capability, and can write only to tracefs', () => {
    assert.deepEqual(container.securityContext, {
      runAsUser: 0,
      runAsGroup: 0,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      appArmorProfile: { type: 'Unconfined' },
      seLinuxOptions: { type: 'spc_t' },
    });
    assert.deepEqual(spec.securityContext, { seccompProfile: { type: 'RuntimeDefault' } });
    assert.deepEqual([spec.hostPID, spec.hostNetwork, spec.hostIPC, spec.hostUsers], [true, false, undefined, true]);
    assert.deepEqual(spec.volumes, [{ name: 'tracefs', hostPath: { path: '/sys/kernel/tracing', type: 'Directory' } }]);
    assert.deepEqual(container.volumeMounts, [
      { name: 'tracefs', mountPath: '/sys/kernel/tracing', mountPropagation: 'HostToContainer' },
    ]);
  });

  test('has no rights in the cluster, and no token', kubectl, async () => {
    const objects = await render([]);
    assert.deepEqual(
      objects.filter(({ kind }) => /Role/.test(kind)),
      [],
    );
    assert.equal(spec.automountServiceAccountToken, false);
    assert.equal(find(objects, 'ServiceAccount').automountServiceAccountToken, false);
  });

  test('runs the version of this repository', () => {
    const { name, version } = readYaml<{ name: string; version: string }>('package.json');
    assert.equal(container.image, `${name}:${version}`);
  });

  test('is probed on the port on which it listens', () => {
    const [{ containerPort, name }] = container.ports as [{ containerPort: number; name: string }];
    assert.ok(container.args.includes(`--web.listen-address=:${containerPort}`));
    for (const probe of ['readinessProbe', 'livenessProbe'])
      assert.equal((container[probe] as { httpGet: { port: string } }).httpGet.port, name);
  });
});

describe('the components', kubectl, () => {
  test('pod-names may only list and watch pods', async () => {
    const objects = await render(['pod-names']);
    assert.deepEqual(find(objects, 'ClusterRole').rules, [
      { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
    ]);
    const binding = find(objects, 'ClusterRoleBinding');
    const { name, namespace } = find(objects, 'ServiceAccount').metadata;
    assert.deepEqual(binding.subjects, [{ kind: 'ServiceAccount', name, namespace }]);
    const pod = find<DaemonSet>(objects, 'DaemonSet').spec.template.spec;
    assert.equal(pod.automountServiceAccountToken, true);
    assert.equal(pod.serviceAccountName, name);
    assert.equal(pod.containers[0].args.at(-1), '--kubernetes');
    assert.ok(pod.containers[0].env.some((variable) => variable.name === 'K8S_NODE_NAME'));
  });

  test('select the pods of the DaemonSet and one of their ports', async () => {
    const objects = await render(COMPONENTS);
    const { labels } = find<DaemonSet>(objects, 'DaemonSet').spec.template.metadata;
    const [{ ports }] = find<DaemonSet>(objects, 'DaemonSet').spec.template.spec.containers;
    type Selecting = KubernetesObject & {
      readonly spec: {
        readonly selector: Record<string, unknown> & { readonly matchLabels?: Record<string, string> };
        readonly podSelector?: { readonly matchLabels?: Record<string, string> };
        readonly podMetricsEndpoints?: readonly { readonly port: string }[];
        readonly endpoints?: readonly { readonly port: string }[];
      };
    };
    const service = find<Selecting>(objects, 'Service');
    const podMonitor = find<Selecting>(objects, 'PodMonitor');
    const serviceMonitor = find<Selecting>(objects, 'ServiceMonitor');
    const policies = objects.filter(({ kind }) => kind === 'NetworkPolicy') as Selecting[];
    const selectors = [
      [service.spec.selector, labels],
      [podMonitor.spec.selector.matchLabels, labels],
      [serviceMonitor.spec.selector.matchLabels, service.metadata.labels],
      ...policies.map(({ spec }) => [spec.podSelector?.matchLabels ?? {}, labels] as const),
    ] as const;
    for (const [selector, own] of selectors) {
      assert.ok(selector !== undefined && own !== undefined);
      for (const [key, value] of Object.entries(selector)) assert.equal(own[key], value, key);
    }
    assert.equal(policies.length, 3);
    assert.deepEqual(
      [...(podMonitor.spec.podMetricsEndpoints ?? []), ...(serviceMonitor.spec.endpoints ?? [])].map(
        ({ port }) => port,
      ),
      [ports[0]?.name, ports[0]?.name],
    );
  });

  test('prometheus-rule contains the rules and alerts of deploy/prometheus', async () => {
    const groups = (file: string) => readYaml<{ groups: unknown[] }>(`deploy/prometheus/${file}`).groups;
    const { spec } = find<KubernetesObject & { spec: { groups: unknown[] } }>(
      await render(['prometheus-rule']),
      'PrometheusRule',
    );
    assert.deepEqual(spec.groups, [...groups('rules.yml'), ...groups('alerts.yml')]);
  });

  test('dashboards contains the dashboards, with the label that the sidecar selects by', async () => {
    const objects = await render(['dashboards']);
    for (const name of ['fleet', 'vm', 'exporter']) {
      const map = find<KubernetesObject & { data: Record<string, string> }>(objects, 'ConfigMap', `kvm-exits-${name}`);
      assert.deepEqual(map.data, {
        [`${name}.json`]: readFileSync(join(ROOT, `grafana/dashboards/${name}.json`), 'utf8'),
      });
      assert.equal(map.metadata.labels?.grafana_dashboard, '1');
    }
  });

  test('kubevirt selects only the nodes that run VMs, and otlp names a collector', async () => {
    const pod = find<DaemonSet>(await render(['kubevirt', 'otlp']), 'DaemonSet').spec.template.spec;
    assert.deepEqual(pod.nodeSelector, { 'kubernetes.io/os': 'linux', 'kubevirt.io/schedulable': 'true' });
    assert.match(
      pod.containers[0].env.find(({ name }) => name === 'OTEL_EXPORTER_OTLP_ENDPOINT')?.value ?? '',
      /^http:.*:4318$/,
    );
  });
});
