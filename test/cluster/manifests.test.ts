/** deploy/kubernetes on a real API server, which requires a quota for critical pods and restricts pods by default. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { stringify } from 'yaml';
import { needsControlPlane } from '../support/cluster/binaries.js';
import { ControlPlane } from '../support/cluster/control-plane.js';
import { addNodes, type Pod, until } from '../support/cluster/nodes.js';
import type { KubernetesObject } from '../support/kubernetes/kubernetes-schemas.js';
import { COMPONENTS, type DaemonSet, needsKubectl, render, renderText } from '../support/kubernetes/kustomize.js';
import { allOf } from '../support/requirements.js';

const OPTIONS = allOf(needsControlPlane(), needsKubectl());
const NAMESPACE = 'kvm-exit-exporter';
const CRITICAL = { scopeName: 'PriorityClass', operator: 'In', values: ['system-node-critical'] };

/** Pods of critical priority need a quota, as on GKE. Namespaces without a label of their own are restricted. */
const ADMISSION = {
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AdmissionConfiguration',
  plugins: [
    {
      name: 'ResourceQuota',
      configuration: {
        apiVersion: 'apiserver.config.k8s.io/v1',
        kind: 'ResourceQuotaConfiguration',
        limitedResources: [{ resource: 'pods', matchScopes: [CRITICAL] }],
      },
    },
    {
      name: 'PodSecurity',
      configuration: {
        apiVersion: 'pod-security.admission.config.k8s.io/v1',
        kind: 'PodSecurityConfiguration',
        defaults: { enforce: 'restricted', audit: 'restricted', warn: 'restricted' },
      },
    },
  ],
};

/** What users apply: the base, each component, and the combinations of docs/install. */
const COMBINATIONS = [
  ['namespace'],
  ...COMPONENTS.filter((name) => name !== 'namespace').map((name) => ['namespace', name]),
  ['namespace', 'pod-names', 'pod-monitor'],
  ['namespace', 'kubevirt', 'pod-names'],
  COMPONENTS,
];

describe('deploy/kubernetes on a real API server', OPTIONS, () => {
  let cluster: ControlPlane;

  before(async () => {
    cluster = await ControlPlane.start({ controllers: true, admission: ADMISSION });
    await cluster.installCrds();
    await addNodes(cluster, ['node-1']);
  });
  after(() => cluster?.stop());

  const createNamespace = (name: string, labels: Record<string, string> = {}) =>
    cluster.create<KubernetesObject>('/api/v1/namespaces', {
      ...{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
    });
  const pods = (namespace: string) => cluster.list<Pod>('pods', `--namespace=${namespace}`);
  const events = async (namespace: string) => {
    const all = await cluster.list<KubernetesObject & { message: string }>('events', `--namespace=${namespace}`);
    return all.map(({ message }) => message).join('\n');
  };

  for (const components of COMBINATIONS)
    test(`${components.join(', ')}: applied, and the server shows no difference`, async () => {
      const text = await renderText(components);
      const applied = await cluster.tryKubectl(['apply', '--server-side', '--validate=strict', '-f', '-'], text);
      assert.equal(applied.status, 0, applied.stderr);
      assert.equal(applied.stderr, '');
      const { status, stdout, stderr } = await cluster.tryKubectl(['diff', '--server-side', '-f', '-'], text);
      assert.deepEqual([status, stdout, stderr], [0, '', '']);
    });

  test('a server-side apply after a plain one does not conflict, and changes nothing', async () => {
    const text = await renderText(COMPONENTS, { namespace: 'plain', namePrefix: 'plain-' });
    await cluster.kubectl(['apply', '-f', '-'], text);
    const before = await cluster.list<KubernetesObject>(
      'daemonsets,podmonitors,servicemonitors,networkpolicies',
      '-n=plain',
    );
    const { status, stderr } = await cluster.tryKubectl(['apply', '--server-side', '-f', '-'], text);
    assert.equal(status, 0, stderr);
    for (const { kind, metadata } of before) {
      const after = JSON.parse(await cluster.kubectl(['get', kind, metadata.name, '-n=plain', '-o=json']));
      assert.equal(after.metadata.generation, (metadata as { generation?: number }).generation, kind);
    }
  });

  test('a shared namespace stays as it was, and no policy selects its other pods', async () => {
    const created = await createNamespace('shared', {
      owner: 'them',
      'pod-security.kubernetes.io/enforce': 'privileged',
    });
    const pod = { containers: [{ name: 'app', image: 'app' }], automountServiceAccountToken: false };
    await until(
      () => 'the service account of the namespace',
      async () => (await cluster.ask('GET', '/api/v1/namespaces/shared/serviceaccounts/default')).status === 200,
    );
    await cluster.create('/api/v1/namespaces/shared/pods', {
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'theirs', labels: { app: 'theirs' } }, spec: pod },
    });
    const components = COMPONENTS.filter((name) => name !== 'namespace');
    const text = await renderText(components, { namespace: 'shared', namePrefix: 'acme-' });
    await cluster.kubectl(['apply', '--server-side', '-f', '-'], text);
    const namespace = JSON.parse((await cluster.ask('GET', '/api/v1/namespaces/shared')).body);
    assert.deepEqual(namespace.metadata.labels, { ...created.metadata.labels });
    type Policy = KubernetesObject & { spec: { podSelector: { matchLabels?: Record<string, string> } } };
    const policies = await cluster.list<Policy>('networkpolicies', '--namespace=shared');
    assert.equal(policies.length, 3);
    await until(
      async () => `a pod of the agent: ${await events('shared')}`,
      async () => (await pods('shared')).length === 2,
    );
    for (const { metadata, spec } of policies) {
      const labels = Object.entries(spec.podSelector.matchLabels ?? {}).map((pair) => pair.join('='));
      const selected = await cluster.list<Pod>('pods', '--namespace=shared', `--selector=${labels.join()}`);
      const names = selected.map(({ metadata: { name } }) => name.replace(/-\w+$/, ''));
      assert.deepEqual(names, ['acme-kvm-exit-exporter'], metadata.name);
    }
    await cluster.kubectl(['delete', '--wait=false', '-f', '-'], text);
    assert.equal(JSON.parse((await cluster.ask('GET', '/api/v1/namespaces/shared')).body).status.phase, 'Active');
  });

  test('namespace: and namePrefix: reach the binding, which gives list and watch of pods, and nothing else', async () => {
    await createNamespace('bound');
    const text = await renderText(['pod-names'], { namespace: 'bound', namePrefix: 'bound-' });
    await cluster.kubectl(['apply', '--server-side', '-f', '-'], text);
    const account = `--as=system:serviceaccount:bound:bound-kvm-exit-exporter`;
    for (const [verb, what, answer] of [
      ['list', 'pods', 'yes'],
      ['watch', 'pods', 'yes'],
      ['get', 'secrets', 'no'],
      ['delete', 'pods', 'no'],
    ] as const) {
      const { stdout } = await cluster.tryKubectl(['auth', 'can-i', verb, what, '--all-namespaces', account]);
      assert.equal(stdout.trim(), answer, `${verb} ${what}`);
    }
  });

  test('without the quota no pod of critical priority is created; with critical-quota, one on each node', async () => {
    const more = { namespace: 'quota' };
    await cluster.kubectl(['apply', '--server-side', '-f', '-'], await renderText(['namespace'], more));
    await until(
      async () => `the refusal: ${await events('quota')}`,
      async () => /insufficient quota to match these scopes/.test(await events('quota')),
    );
    assert.deepEqual(await pods('quota'), []);
    const text = await renderText(['namespace', 'critical-quota'], more);
    await cluster.kubectl(['apply', '--server-side', '-f', '-'], text);
    // The controller tries again after a pause that doubles; a change makes it try at once.
    await cluster.kubectl(['-n=quota', 'rollout', 'restart', 'daemonset/kvm-exit-exporter']);
    await until(
      async () => `a pod: ${await events('quota')}`,
      async () => (await pods('quota')).length === 1,
    );
  });

  for (const level of ['baseline', 'restricted'])
    test(`PodSecurity's level ${level} refuses the pod, and privileged admits it without a warning`, async () => {
      const { spec } = (await render([])).find(({ kind }) => kind === 'DaemonSet') as DaemonSet;
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'agent' }, spec: { ...spec.template.spec } };
      // Priority and account are other tests' subjects.
      const { priorityClassName, serviceAccountName, ...plain } = pod.spec as Record<string, unknown>;
      const text = stringify({ ...pod, spec: plain });
      for (const enforce of [level, 'privileged']) {
        const namespace = `${level}-${enforce}`;
        const labels = Object.fromEntries(
          ['enforce', 'warn', 'audit'].map((mode) => [`pod-security.kubernetes.io/${mode}`, enforce]),
        );
        await createNamespace(namespace, labels);
        await until(
          () => `the service account of ${namespace}`,
          async () =>
            (await cluster.ask('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`)).status === 200,
        );
        const { status, stderr } = await cluster.tryKubectl(['create', '-n', namespace, '-f', '-'], text);
        assert.deepEqual(
          [status, enforce === 'privileged' ? stderr : /violates PodSecurity/.test(stderr)],
          enforce === 'privileged' ? [0, ''] : [1, true],
          stderr,
        );
      }
    });

  test('namespace creates a namespace that admits the pod', async () => {
    await until(
      async () => `a pod: ${await events(NAMESPACE)}`,
      async () => (await pods(NAMESPACE)).length === 1,
    );
  });
});
