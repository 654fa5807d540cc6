/** The program on a node of a cluster: the pod of each VM, and an API server that does not answer. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProcTree } from '../support/agent/proc-tree.js';
import { runAgent } from '../support/agent/run-agent.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { FakeApiServer } from '../support/kubernetes/api-server.js';
import { Samples } from '../support/prometheus/samples.js';
import { needs } from '../support/requirements.js';

const OPENSSL = needs('openssl');

afterEach(endAll);

const UID = 'dc380811-8168-4a9e-9b4a-56ded1b6fe9c';
const KATA_UID = 'aa380811-8168-4a9e-9b4a-56ded1b6fe9c';
const CONTAINER = 'fa7f0ec4fbcbb70c69565a5b2d269926e04ec5601dff59235199d6e60198e95c';
const SANDBOX = '9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d';
const POD_CGROUP = (uid: string) =>
  `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid.replaceAll('-', '_')}.slice`;
const LAUNCHER = { name: 'virt-launcher-web-x2k9p', namespace: 'tenant', uid: UID, vmi: 'web' };
const KATA_POD = { name: 'untrusted-7d9f', namespace: 'build', uid: KATA_UID };

/**
 * A host with a VM of KubeVirt, one of Kata, and a plain one; each has a QEMU log. Only the vCPU threads of Kata's VM
 * are in the pod's cgroup.
 */
function host(t: TestContext): { procfs: string; logs: string } {
  const tree = new ProcTree(t);
  const logs = mkdtempSync(join(tmpdir(), 'logs-'));
  t.after(() => rmSync(logs, { recursive: true }));
  const vcpu = (tid: number, cgroup?: string) => ({ tid, comm: 'CPU 0/KVM', ...(cgroup !== undefined && { cgroup }) });
  const comm = 'qemu-system-x86';
  const qemu = (...args: string[]) => ['/usr/bin/qemu-system-x86_64', ...args];
  tree.put({
    ...{ pid: 100, comm, threads: [vcpu(101)], cgroup: `${POD_CGROUP(UID)}/cri-containerd-${CONTAINER}.scope\n` },
    args: qemu('-name', 'guest=tenant_web,debug-threads=on', '-smbios', 'type=1,manufacturer=KubeVirt'),
  });
  tree.put({
    ...{ pid: 200, comm, threads: [vcpu(201, `${POD_CGROUP(KATA_UID)}\n`)], cgroup: `0::/kata_overhead/${SANDBOX}\n` },
    args: qemu('-name', `sandbox-${SANDBOX},debug-threads=on`),
  });
  tree.put({ pid: 300, comm, threads: [vcpu(301)], args: qemu('-name', 'plain'), cgroup: '0::/user.slice\n' });
  writeFileSync(join(logs, 'tenant_web.log'), '');
  return { procfs: tree.root, logs };
}

async function start(
  t: TestContext,
  api: FakeApiServer,
): Promise<{ agent: WebAgent; log: string; scrape: () => Promise<Samples> }> {
  const { procfs, logs } = host(t);
  const agent = await WebAgent.startCommand(
    'run',
    ['--no-collector.kernel', `--path.procfs=${procfs}`, `--qemu.log=${logs}/*.log`, '--kubernetes'],
    {
      K8S_NODE_NAME: 'node-1',
      KVM_EXIT_EXPORTER_KUBERNETES_API_SERVER: api.url,
      KVM_EXIT_EXPORTER_KUBERNETES_TOKEN_FILE: api.tokenFile,
      KVM_EXIT_EXPORTER_KUBERNETES_CA_FILE: api.caFile,
    },
  );
  const log = join(logs, 'tenant_web.log');
  return { agent, log, scrape: async () => new Samples(await (await fetch(`${agent.url}/metrics`)).text()) };
}

function identities(samples: Samples): Record<string, readonly string[]> {
  const values = samples
    .of('kvm_vm_info', {})
    .map(({ labels }): [string, string[]] => [
      labels.get('vm') ?? '',
      ['namespace', 'pod', 'pod_uid', 'vmi', 'container_id'].map((label) => labels.get(label) ?? ''),
    ]);
  return Object.fromEntries(values);
}

const KATA_VM = `sandbox-${SANDBOX}`;

test('each VM has its pod: from the host at once, from the API server after it has answered', OPENSSL, async (t) => {
  const api = await FakeApiServer.start();
  api.put(LAUNCHER);
  api.put(KATA_POD);
  const { agent, scrape } = await start(t, api);
  await agent.until('msg="watching the pods of this node" pods=2');
  const samples = await scrape();
  assert.deepEqual(identities(samples), {
    tenant_web: ['tenant', LAUNCHER.name, UID, 'web', CONTAINER],
    [KATA_VM]: ['build', KATA_POD.name, KATA_UID, '', SANDBOX],
    plain: ['', '', '', '', ''],
  });
  assert.equal(samples.sum('kvm_exit_exporter_source_up', { source: 'kubernetes' }), 1);

  api.delete(LAUNCHER);
  await api.until('the end of the pod', () => api.watches === 1);
  await sleep(200);
  assert.deepEqual(identities(await scrape()), identities(samples), 'a VM keeps its pod as long as it is shown');
});

test('an API server that does not answer delays neither counting nor scraping', OPENSSL, async (t) => {
  const api = await FakeApiServer.start();
  api.override = () => true;
  const { log, scrape } = await start(t, api);
  await api.until('the request', () => api.requests.length === 1);
  let samples = await scrape();
  for (let tries = 0; samples.sum('kvm_exits_total', { vm: 'tenant_web' }) === 0; tries++) {
    assert.ok(tries < 1200, 'the exits of the log are not counted');
    appendFileSync(log, '101@1760000000.000000:kvm_run_exit cpu_index 0, reason 2\n');
    await sleep(50);
    samples = await scrape();
  }
  assert.deepEqual(identities(samples), {
    tenant_web: ['tenant', '', UID, 'web', CONTAINER],
    [KATA_VM]: ['', '', KATA_UID, '', SANDBOX],
    plain: ['', '', '', '', ''],
  });
  assert.equal(samples.sum('kvm_exit_exporter_source_up', { source: 'kubernetes' }), 0);
});

for (const [what, args, words] of [
  [
    'outside a pod',
    ['--kubernetes.node=a'],
    /KUBERNETES_SERVICE_HOST is not set, so this is not a pod; give --kubernetes/,
  ],
  [
    'without a node',
    ['--kubernetes.api-server=https://[::1]:6443'],
    /the name of this node is not known; give --kubernetes\.node/,
  ],
  [
    'with an invalid address',
    ['--kubernetes.node=a', '--kubernetes.api-server=kube'],
    /kubernetes\.api-server=kube: expected a URL/,
  ],
] as const)
  test(`--kubernetes ${what} is refused at the start`, () => {
    const { status, stderr } = runAgent('run', '--no-collector.kernel', '--qemu.log=/nowhere', '--kubernetes', ...args);
    assert.equal(status, 2);
    assert.match(stderr, words);
    assert.equal(stderr.trim().split('\n').length, 1);
  });
