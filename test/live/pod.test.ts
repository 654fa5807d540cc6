/**
 * The DaemonSet without a cluster: the arguments, variables, user, capabilities, mounts and namespaces of its manifest,
 * on the read-only files of the image. The profiles of seccomp, AppArmor and SELinux need a container engine, so this
 * test does not cover them.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tracingInstances } from '../support/agent/start-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { ioExits, UNTIL_KNOWN, writesInAll } from '../support/guest/agent-checks.js';
import { addRuntime, pathOf, startContainer } from '../support/guest/container.js';
import { createPodCgroup, currentCgroup, needsCgroup2 } from '../support/guest/pod-cgroup.js';
import { startGuest } from '../support/guest/start-guest.js';
import { configOf, DOCKERFILE } from '../support/image/dockerfile.js';
import { filesOf, ImageBuild } from '../support/image/image-build.js';
import { type DaemonSet, readYaml } from '../support/kubernetes/kustomize.js';
import { HANG_MS } from '../support/patience.js';
import { Samples } from '../support/prometheus/samples.js';
import { allOf, needs, skipUnless } from '../support/requirements.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'pod-'));
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

const { spec } = readYaml<DaemonSet>('deploy/kubernetes/base/daemonset.yaml').spec.template;
const [container] = spec.containers;
const VM_UID = 'aa380811-8168-4a9e-9b4a-56ded1b6fe9c';
const OWN_UID = 'bb380811-8168-4a9e-9b4a-56ded1b6fe9c';
const CONTAINER = 'fa7f0ec4fbcbb70c69565a5b2d269926e04ec5601dff59235199d6e60198e95c';
/** The default, because the manifest does not set one. */
const INSTANCE = 'kvm-exit-exporter';
/** Fields of the pod that share a namespace with the host. */
const NAMESPACE_FIELDS = { net: 'hostNetwork', ipc: 'hostIPC', pid: 'hostPID' };

/** Builds the image's file tree, with Node.js; undefined if a package is missing in npm's cache. */
function imageRoot(mounts: readonly string[]): string | undefined {
  try {
    const { tree } = new ImageBuild(FOLDER, DOCKERFILE, { ...process.env, npm_config_offline: 'true' });
    addRuntime(tree, mounts);
    return tree;
  } catch (error) {
    if (error instanceof Error && /ENOTCACHED/.test(error.message)) return undefined;
    throw error;
  }
}

/** Starts the program as a container engine would start it from the manifest. */
function startPod(root: string) {
  const { securityContext, args, volumeMounts } = container;
  assert.deepEqual(securityContext.capabilities, { drop: ['ALL'] });
  assert.equal(securityContext.allowPrivilegeEscalation, false);
  assert.equal(securityContext.readOnlyRootFilesystem, true);
  const unshared = Object.entries(NAMESPACE_FIELDS).filter(([, field]) => spec[field] !== true);
  const variables = container.env.map(({ name, value = 'from-the-pod' }) => [name, value]);
  const { entrypoint, environment } = configOf(DOCKERFILE);
  const child = startContainer(root, [...entrypoint, ...args], {
    uid: securityContext.runAsUser,
    environment: { ...environment, ...Object.fromEntries(variables) },
    mounts: volumeMounts.map(({ mountPath }) => mountPath),
    // Every container has its own uts and cgroup namespaces.
    namespaces: [...unshared.map(([name]) => name), 'uts', 'cgroup'],
  });
  let log = '';
  child.stderr?.on('data', (text) => {
    log += text;
  });
  const ended = once(child, 'close');
  endLater(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, ended, log: () => log };
}

/** Status and body of a request from inside the pod's network. */
function request(pid: number, path: string): { status: number; body: string } {
  const port = container.ports[0]?.containerPort;
  const script = `fetch('http://127.0.0.1:${port}${path}').then(async (r) => console.log(JSON.stringify({ status: r.status, body: await r.text() })))`;
  const nsenter = ['--target', String(pid), '--net', process.execPath, '-e', script];
  return JSON.parse(spawnSync(pathOf('nsenter'), nsenter, { encoding: 'utf8', maxBuffer: 1 << 26 }).stdout);
}

const probe = (name: string) => (container[name] as { httpGet: { path: string } }).httpGet.path;

const MOUNTS = container.volumeMounts.map(({ mountPath }) => mountPath);
const MACHINE_OPTIONS = allOf(
  needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu', 'setpriv', 'unshare', 'ip'),
  needsCgroup2(),
);
const IMAGE_ROOT = MACHINE_OPTIONS.skip === false ? imageRoot(MOUNTS) : undefined;
const OPTIONS = MACHINE_OPTIONS.skip === false ? skipUnless('npm-cache', IMAGE_ROOT !== undefined) : MACHINE_OPTIONS;

test("the pod counts a VM's exits, names its pod and leaves nothing behind", {
  ...OPTIONS,
  timeout: 300_000,
}, async () => {
  const root = IMAGE_ROOT ?? '';
  const before = filesOf(root);
  const tenant = startGuest({ name: 'tenant-a_web', steps: [{ forever: { out: 0x80 } }] });
  createPodCgroup('burstable', VM_UID, CONTAINER)(tenant.pid);
  // The pod inherits the cgroup of this process, which returns to its own afterwards.
  const moveBack = currentCgroup();
  createPodCgroup('besteffort', OWN_UID, CONTAINER.replace('f', '0'))(process.pid);
  const { child, ended, log } = startPod(root);
  moveBack(process.pid);
  const pid = child.pid ?? -1;
  for (const deadline = Date.now() + HANG_MS; !log().includes('msg=serving'); await sleep(50))
    assert.ok(child.exitCode === null && Date.now() < deadline, log());

  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) assert.match(status, new RegExp(`^Cap${set}:\\t0{16}$`, 'm'));
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.match(status, /^Uid:\t0\t0\t0\t0$/m);
  assert.deepEqual(
    [request(pid, probe('readinessProbe')).status, request(pid, probe('livenessProbe')).status],
    [200, 200],
  );

  assert.ok(tracingInstances().includes(INSTANCE));

  const exact = startGuest({ name: 'exact', steps: [...UNTIL_KNOWN, ...writesInAll(100_000)] });
  const scrapeUntil = async (exits: number) => {
    for (const deadline = Date.now() + HANG_MS; ; await sleep(50)) {
      const samples = new Samples(request(pid, '/metrics').body);
      if (ioExits(samples, 'exact') >= exits || Date.now() > deadline) return samples;
    }
  };
  await scrapeUntil(1);
  exact.goOn();
  await exact.finished();
  // The last exit is the one that ends the guest.
  const samples = await scrapeUntil(100_001);
  assert.equal(ioExits(samples, 'exact'), 100_001);
  assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
  const [identity] = samples.of('kvm_vm_info', { vm: 'tenant-a_web' });
  assert.deepEqual(
    ['pid', 'pod_uid', 'container_id', 'namespace', 'vmi'].map((label) => identity?.labels.get(label)),
    [String(tenant.pid), VM_UID, CONTAINER, 'tenant-a', 'web'],
  );

  child.kill('SIGTERM');
  await ended;
  assert.deepEqual([child.exitCode, child.signalCode], [0, null], log());
  assert.ok(!tracingInstances().includes(INSTANCE));
  assert.deepEqual(filesOf(root), before);
});
