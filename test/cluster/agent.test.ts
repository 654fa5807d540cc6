/** The agent with --kubernetes against a real API server. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ApiClient } from '../../src/kubernetes/api-client.js';
import { listPods } from '../../src/kubernetes/list-pods.js';
import { PodWatch } from '../../src/kubernetes/pod-watch.js';
import { ProcTree } from '../support/agent/proc-tree.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { needsControlPlane } from '../support/cluster/binaries.js';
import { ControlPlane } from '../support/cluster/control-plane.js';
import { DroppingProxy } from '../support/cluster/dropping-proxy.js';
import { type Pod, until } from '../support/cluster/nodes.js';
import { endAll } from '../support/end-later.js';
import { needsKubectl, renderText } from '../support/kubernetes/kustomize.js';
import { MAIN } from '../support/paths.js';
import { Samples } from '../support/prometheus/samples.js';
import { allOf } from '../support/requirements.js';

const OPTIONS = allOf(needsControlPlane(), needsKubectl());
const NAMESPACE = 'kvm-exit-exporter';
const TIMES = { listMs: 30_000, watchMs: 300_000, watchGraceMs: 30_000, minPauseMs: 100, maxPauseMs: 1000 };

describe('pod names from a real API server', OPTIONS, () => {
  let cluster: ControlPlane;
  let tokenFile: string;
  /** The pods of a node on which nothing happens. */
  let quiet: PodWatch;
  const stop = new AbortController();

  before(async () => {
    cluster = await ControlPlane.start();
    const text = await renderText(['namespace', 'pod-names']);
    await cluster.kubectl(['apply', '--server-side', '-f', '-'], text);
    tokenFile = join(cluster.folder, 'token');
    writeFileSync(tokenFile, await cluster.tokenOf(NAMESPACE, 'kvm-exit-exporter'));
    const client = new ApiClient({ url: new URL(cluster.url), tokenFile, caFile: cluster.caFile });
    const times = { ...TIMES, watchSilenceMs: 90_000 };
    quiet = new PodWatch(client, { node: 'node-quiet', keepDeletedMs: 0, times });
    void quiet.run(stop.signal);
  });
  after(async () => {
    stop.abort();
    await cluster?.stop();
  });
  afterEach(endAll);

  const createPod = (name: string, node = 'node-1', annotations: Record<string, string> = {}) =>
    cluster.create<Pod>('/api/v1/namespaces/default/pods', {
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name, annotations } },
      spec: { nodeName: node, containers: [{ name: 'compute', image: 'launcher' }] },
    });
  const deletePod = async (name: string) => {
    const { status } = await cluster.ask('DELETE', `/api/v1/namespaces/default/pods/${name}?gracePeriodSeconds=0`);
    assert.equal(status, 200);
  };

  /** A host with a VM for each pod, and the agent of that node. */
  const start = async (t: TestContext, { node = 'node-1', token = tokenFile, url = cluster.url } = {}) => {
    const tree = new ProcTree(t);
    tree.put({ pid: 1, comm: 'systemd', hasVm: false });
    const logs = mkdtempSync(join(tmpdir(), 'logs-'));
    t.after(() => rmSync(logs, { recursive: true }));
    const args = ['--no-collector.kernel', `--path.procfs=${tree.root}`, `--qemu.log=${logs}/*.log`, '--kubernetes'];
    const agent = await WebAgent.startCommand('run', args, {
      K8S_NODE_NAME: node,
      KVM_EXIT_EXPORTER_KUBERNETES_API_SERVER: url,
      KVM_EXIT_EXPORTER_KUBERNETES_TOKEN_FILE: token,
      KVM_EXIT_EXPORTER_KUBERNETES_CA_FILE: cluster.caFile,
    });
    let pid = 100;
    const addVm = (name: string, { metadata }: Pod) => {
      pid += 10;
      const slice = `pod${metadata.uid.replaceAll('-', '_')}`;
      tree.put({
        ...{ pid, comm: 'qemu-system-x86', threads: [{ tid: pid + 1, comm: 'CPU 0/KVM' }] },
        cgroup: `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-${slice}.slice\n`,
        args: ['/usr/bin/qemu-system-x86_64', '-name', `guest=${name},debug-threads=on`],
      });
      return () => tree.remove(pid);
    };
    const scrape = async () => new Samples(await (await fetch(`${agent.url}/metrics`)).text());
    const podOf = async (vm: string) => (await scrape()).of('kvm_vm_info', { vm })[0]?.labels.get('pod');
    const isUp = async () => (await scrape()).sum('kvm_exit_exporter_source_up', { source: 'kubernetes' }) === 1;
    const named = (vm: string, pod: string) =>
      until(
        async () => `${vm} has the pod ${pod}, not ${await podOf(vm)}: ${agent.log}`,
        async () => (await podOf(vm)) === pod,
      );
    return { agent, addVm, podOf, isUp, named };
  };

  test('each VM has its pod, also one that is created later', async (t) => {
    const first = await createPod('first');
    const { addVm, named } = await start(t);
    addVm('vm-1', first);
    await named('vm-1', 'first');
    addVm('vm-2', await createPod('second'));
    await named('vm-2', 'second');
  });

  test('a node without pods is followed, with a hint, and its first pod is found', async (t) => {
    const { agent, addVm, named, isUp } = await start(t, { node: 'node-empty' });
    await agent.until('the API server knows no pod of node');
    assert.ok(await isUp(), agent.log);
    addVm('vm', await createPod('alone', 'node-empty'));
    await named('vm', 'alone');
  });

  test('a VM whose pod was deleted before the first scrape has its pod', async (t) => {
    const { agent, addVm, podOf } = await start(t);
    await agent.until('watching the pods of this node');
    const pod = await createPod('short');
    addVm('short-lived', pod);
    // The watch delivers in milliseconds, and the agent looks for new VMs every two seconds.
    await sleep(5000);
    await deletePod('short');
    await sleep(5000);
    assert.equal(await podOf('short-lived'), 'short', agent.log);
  });

  test('a token without rights and one of another cluster are refused, with what to do', async (t) => {
    await cluster.kubectl(['create', 'serviceaccount', 'powerless', `--namespace=${NAMESPACE}`]);
    const token = join(cluster.folder, 'other-token');
    writeFileSync(token, await cluster.tokenOf(NAMESPACE, 'powerless'));
    const { agent, isUp } = await start(t, { token });
    await agent.until('HTTP 403: pods is forbidden: User');
    await agent.until('allow the service account to list and watch pods');
    assert.ok(!(await isUp()));
    writeFileSync(token, 'eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl');
    await agent.until('HTTP 401: Unauthorized');
    await agent.until('other-token is not accepted');
    writeFileSync(token, '');
    await agent.until('other-token: empty');
    writeFileSync(token, await cluster.tokenOf(NAMESPACE, 'kvm-exit-exporter'));
    await until(() => `names: ${agent.log}`, isUp);
  });

  test('a watch whose bytes are dropped is given up, and continues over another connection', async (t) => {
    const proxy = await DroppingProxy.start(cluster.url);
    t.after(() => proxy.stop());
    const client = new ApiClient({ url: new URL(proxy.url), tokenFile, caFile: cluster.caFile });
    const times = { ...TIMES, watchSilenceMs: 4000 };
    const pods = new PodWatch(client, { node: 'node-1', keepDeletedMs: 0, times });
    const ended = new AbortController();
    t.after(() => ended.abort());
    void pods.run(ended.signal);
    const before = await createPod('before-the-drop');
    await until(
      () => 'the first pod',
      () => pods.podOf(before.metadata.uid) !== undefined,
    );
    proxy.dropAll();
    const during = await createPod('during-the-drop');
    assert.equal(pods.counts.up, true);
    await until(
      () => 'the silence is noticed',
      () => pods.podOf(during.metadata.uid) !== undefined,
      20_000,
    );
  });

  test('check counts the pods of the node, or says why it cannot', async () => {
    await createPod('checked', 'node-checked');
    const check = async (node: string, ...args: string[]) => {
      const own = [`--kubernetes.node=${node}`, `--kubernetes.api-server=${cluster.url}`, ...args];
      const all = [MAIN, 'check', '--kubernetes', `--kubernetes.ca-file=${cluster.caFile}`, ...own];
      // The exit code is about the machine, which may have no KVM.
      const { stdout } = await promisify(execFile)(process.execPath, all).catch((error) => error);
      return /^.*pod names.*$/m.exec(stdout)?.[0].replace(/\s+/g, ' ');
    };
    const token = `--kubernetes.token-file=${tokenFile}`;
    assert.equal(await check('node-checked', token), `ok pod names ${cluster.url}: 1 on node-checked`);
    assert.match((await check('no-such-node', token)) ?? '', /^warn pod names the API server knows no pod of node/);
    assert.match(
      (await check('node-checked', '--kubernetes.token-file=/nonexistent')) ?? '',
      /^warn pod names \/nonexistent: no such file/,
    );
  });

  test('a list that the server compresses is read', async () => {
    // A server compresses answers of more than 128 KB.
    const annotations = { notes: 'n'.repeat(20_000) };
    for (let pod = 0; pod < 12; pod++) await createPod(`large-${pod}`, 'node-large', annotations);
    const path = '/api/v1/pods?fieldSelector=spec.nodeName=node-large';
    const packed = await cluster.ask('GET', path, undefined, { 'Accept-Encoding': 'gzip' });
    assert.ok(packed.body.length < 20_000, `${packed.body.length} characters`);
    const client = new ApiClient({ url: new URL(cluster.url), tokenFile, caFile: cluster.caFile });
    const { pods } = await listPods(client, 'node-large', 10_000, stop.signal);
    assert.deepEqual(
      Array.from(pods.values(), ({ name }) => name).sort(),
      Array.from({ length: 12 }, (_, pod) => `large-${pod}`).sort(),
    );
  });

  test('a real server sends a bookmark each minute, so three silent minutes are none of its own', async () => {
    await until(
      () => 'a bookmark',
      () => quiet.counts.events > 0,
      80_000,
    );
    assert.equal(quiet.counts.up, true);
  });

  test('a restart of the server is noticed, and survived', async (t) => {
    const before = await createPod('before-the-restart');
    const { agent, addVm, named, isUp } = await start(t);
    addVm('vm-1', before);
    await named('vm-1', 'before-the-restart');
    await cluster.kill('kube-apiserver');
    await until(
      () => 'the agent notices',
      async () => !(await isUp()),
    );
    assert.match(agent.log, /cannot get pod names from the API server.*(?:connection lost|ECONNREFUSED)/);
    assert.doesNotMatch(agent.log, /aborted/);
    await cluster.startApiServer();
    addVm('vm-2', await createPod('after-the-restart'));
    await named('vm-2', 'after-the-restart');
    await named('vm-1', 'before-the-restart');
  });
});
