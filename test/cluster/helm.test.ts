/** deploy/helm on a real API server: install, upgrade, rollback, uninstall. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { needsControlPlane } from '../support/cluster/binaries.js';
import { ControlPlane } from '../support/cluster/control-plane.js';
import { addNodes, type Pod, runNodes, until } from '../support/cluster/nodes.js';
import { CHART } from '../support/kubernetes/helm.js';
import type { KubernetesObject } from '../support/kubernetes/kubernetes-schemas.js';
import type { DaemonSet } from '../support/kubernetes/kustomize.js';

const NAMESPACE = 'tools';
const KINDS = [
  'daemonsets,services,serviceaccounts,configmaps,secrets,networkpolicies,resourcequotas,pods',
  'controllerrevisions,podmonitors,servicemonitors,prometheusrules',
].join();
const CLUSTER_KINDS = 'clusterroles,clusterrolebindings';

/** Everything that the chart can make without secrets of the user. */
const EVERYTHING = {
  podNames: { enabled: true },
  criticalQuota: { enabled: true },
  podMonitor: { enabled: true },
  serviceMonitor: { enabled: true },
  prometheusRule: { enabled: true, disabled: ['KvmExitExporterSourceDown'] },
  dashboards: { enabled: true },
  otlp: { endpoint: 'http://collector.example:4318' },
  config: { log: { level: 'debug' } },
  extraManifests: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'extra' } }],
};

describe('deploy/helm on a real API server', needsControlPlane(), () => {
  const stop = new AbortController();
  let cluster: ControlPlane;
  let nodes: Promise<void>;

  before(async () => {
    cluster = await ControlPlane.start({ controllers: true });
    await cluster.installCrds();
    await addNodes(cluster, ['node-1', 'node-2']);
    nodes = runNodes(cluster, async () => true, stop.signal);
    await cluster.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  });
  after(async () => {
    stop.abort();
    await nodes;
    await cluster?.stop();
  });

  const helm = async (...args: string[]) => {
    const { status, stdout, stderr } = await cluster.run('helm', [...args, `--namespace=${NAMESPACE}`]);
    assert.equal(status, 0, `helm ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const valuesFile = (values: object) => {
    const path = join(cluster.folder, 'values.json');
    writeFileSync(path, JSON.stringify(values));
    return `--values=${path}`;
  };
  /** Kind and name of each object, without those of the cluster itself. */
  const objects = async (): Promise<string[]> => {
    const own = await cluster.list<KubernetesObject>(KINDS, `--namespace=${NAMESPACE}`);
    const wide = await cluster.list<KubernetesObject>(CLUSTER_KINDS);
    const isOwn = ({ metadata }: KubernetesObject) => metadata.labels?.['kubernetes.io/bootstrapping'] === undefined;
    return [...own, ...wide].filter(isOwn).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  };
  const daemonSet = async () =>
    JSON.parse(await cluster.kubectl(['get', 'daemonset', 'exits-kvm-exit-exporter', `-n=${NAMESPACE}`, '-o=json']));
  const imageOf = ({ spec }: DaemonSet) => spec.template.spec.containers[0].image;

  test('install, upgrade, rollback and uninstall leave the objects that they should, and at last none', async () => {
    const before = await objects();

    const notes = await helm('install', 'exits', CHART, '--wait', '--timeout=90s');
    assert.match(notes, /label namespace tools pod-security\.kubernetes\.io\/enforce=privileged/);
    assert.match(notes, /Nothing scrapes the pods yet/);
    const installed = await objects();
    assert.ok(!installed.includes('ClusterRole exits-kvm-exit-exporter'));
    assert.equal(imageOf(await daemonSet()), 'kvm-exit-exporter:0.1.0');
    const pods = await cluster.list<Pod>('pods', `--namespace=${NAMESPACE}`);
    assert.deepEqual(pods.map(({ spec }) => spec.nodeName).sort(), ['node-1', 'node-2']);

    await helm('upgrade', 'exits', CHART, '--wait', '--timeout=90s', valuesFile(EVERYTHING), '--set=image.tag=next');
    assert.equal(imageOf(await daemonSet()), 'kvm-exit-exporter:next');
    const upgraded = await objects();
    for (const object of [
      ...['ClusterRole', 'ClusterRoleBinding', 'ResourceQuota', 'PodMonitor', 'ServiceMonitor', 'PrometheusRule'].map(
        (kind) => `${kind} exits-kvm-exit-exporter`,
      ),
      ...['fleet', 'vm', 'exporter'].map((name) => `ConfigMap exits-kvm-exit-exporter-${name}`),
      ...['api-server', 'otlp'].map((name) => `NetworkPolicy exits-kvm-exit-exporter-${name}`),
      'ConfigMap extra',
    ])
      assert.ok(upgraded.includes(object), `${object} is not in ${upgraded.join(', ')}`);

    await helm('rollback', 'exits', '1', '--wait', '--timeout=90s');
    assert.equal(imageOf(await daemonSet()), 'kvm-exit-exporter:0.1.0');
    const lasting = (names: readonly string[]) =>
      names.filter((name) => !/^(?:Pod|ControllerRevision|Secret sh\.helm)/.test(name)).sort();
    assert.deepEqual(lasting(await objects()), lasting(installed));

    await helm('upgrade', 'exits', CHART, valuesFile(EVERYTHING));
    await helm('uninstall', 'exits', '--wait', '--timeout=90s');
    // The DaemonSet's pods follow it once the controllers have seen that it is gone.
    const left = async () => (await objects()).filter((object) => !before.includes(object));
    await until(
      async () => `left behind: ${await left()}`,
      async () => (await left()).length === 0,
    );
    assert.deepEqual((await objects()).sort(), before.sort());
  });

  test('the API server finds nothing unknown in the objects of any value', async () => {
    const everything = { ...EVERYTHING, web: { tlsSecret: 'cert', clientCa: 'ca' }, hostNetwork: true };
    const text = await helm('template', 'strict', CHART, valuesFile(everything), '--validate');
    const args = ['apply', '--server-side', '--dry-run=server', '--validate=strict', `-n=${NAMESPACE}`, '-f', '-'];
    const { status, stderr } = await cluster.tryKubectl(args, text);
    assert.equal(status, 0, stderr);
  });
});
