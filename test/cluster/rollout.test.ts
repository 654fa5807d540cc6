/** An update of the DaemonSet in a cluster in which some nodes have no KVM. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { WebAgent } from '../support/agent/web-agent.js';
import { needsControlPlane } from '../support/cluster/binaries.js';
import { ControlPlane } from '../support/cluster/control-plane.js';
import { addNodes, type Pod, runNodes, until } from '../support/cluster/nodes.js';
import { endAll } from '../support/end-later.js';
import { renderText } from '../support/kubernetes/kustomize.js';
import { allOf, needs } from '../support/requirements.js';

const OPTIONS = allOf(needsControlPlane(), needs('root'));
const NODES = Array.from({ length: 11 }, (_, index) => `node-${index + 1}`);
const WITHOUT_KVM = new Set(['node-2', 'node-7', 'node-11']);
const DAEMONSET = '/apis/apps/v1/namespaces/kvm-exit-exporter/daemonsets/kvm-exit-exporter';

interface Status {
  readonly numberReady: number;
  readonly updatedNumberScheduled?: number;
}

describe('an update', OPTIONS, () => {
  const folder = mkdtempSync(join(tmpdir(), 'rollout-'));
  const stop = new AbortController();
  let cluster: ControlPlane;
  let nodes: Promise<void> | undefined;

  before(async () => {
    cluster = await ControlPlane.start({ controllers: true });
  });

  after(async () => {
    stop.abort();
    await nodes;
    await endAll();
    await cluster?.stop();
    rmSync(folder, { recursive: true });
  });

  const status = async (): Promise<Status> => JSON.parse((await cluster.ask('GET', DAEMONSET)).body).status;

  test('a new image reaches all of 11 nodes, of which 3 have no KVM', async () => {
    // A tracefs of a kernel without the kvm module.
    for (const name of ['events', 'instances']) mkdirSync(join(folder, 'tracefs', name), { recursive: true });
    writeFileSync(join(folder, 'vm.log'), '');
    const withoutKvm = await WebAgent.startCommand('run', [`--path.tracefs=${join(folder, 'tracefs')}`]);
    const withKvm = await WebAgent.startCommand('run', ['--no-collector.kernel', `--qemu.log=${folder}/*.log`]);
    const isReady = async ({ spec }: Pod) => {
      const agent = WITHOUT_KVM.has(spec.nodeName ?? '') ? withoutKvm : withKvm;
      const path = spec.containers[0]?.readinessProbe?.httpGet?.path;
      assert.ok(path !== undefined);
      return (await fetch(agent.url + path)).ok;
    };
    assert.match(await (await fetch(`${withoutKvm.url}/-/ready`)).text(), /not ready: .*the kvm module is not loaded/);

    await addNodes(cluster, NODES);
    await cluster.kubectl(['apply', '--server-side', '--filename=-'], await renderText(['namespace']));
    nodes = runNodes(cluster, isReady, stop.signal);
    await until(
      async () => `11 pods: ${JSON.stringify(await status())}`,
      async () => (await status()).numberReady >= NODES.length - WITHOUT_KVM.size,
    );
    const image = 'kvm-exit-exporter=registry.example/kvm-exit-exporter:next';
    await cluster.kubectl(['-n', 'kvm-exit-exporter', 'set', 'image', 'daemonset/kvm-exit-exporter', image]);
    await until(
      async () => `the new image on 11 nodes: ${JSON.stringify(await status())}`,
      async () => (await status()).updatedNumberScheduled === NODES.length,
    );
  });
});
