/** The files and probes that the chart makes from `web` and `config`, with the real agent. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, type TestContext, test } from 'node:test';
import { runAgent } from '../../support/agent/run-agent.js';
import { ask, WebAgent } from '../../support/agent/web-agent.js';
import { type Certificate, CertificateAuthority } from '../../support/certificate-authority.js';
import { needsControlPlane } from '../../support/cluster/binaries.js';
import { endAll } from '../../support/end-later.js';
import { configOf, DOCKERFILE } from '../../support/image/dockerfile.js';
import { template } from '../../support/kubernetes/helm.js';
import type { KubernetesObject } from '../../support/kubernetes/kubernetes-schemas.js';
import type { DaemonSet } from '../../support/kubernetes/kustomize.js';
import { allOf, needs } from '../../support/requirements.js';

const OPTIONS = allOf(needsControlPlane(), needs('openssl'));
const MOUNTS = '/etc/kvm-exit-exporter';

interface Probe {
  readonly exec?: { readonly command: readonly string[] };
  readonly httpGet?: { readonly path: string; readonly scheme?: string };
}

/** Starts the agent with the arguments and files that the chart gives to a pod; `secrets` are the mounted ones. */
async function startPod(t: TestContext, values: object, secrets: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), 'chart-web-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const here = (text: string) => text.replaceAll(MOUNTS, folder);
  const objects = await template(values);
  const find = (kind: string) => objects.find((object) => object.kind === kind);
  const { data } = find('ConfigMap') as KubernetesObject & { data: Record<string, string> };
  const configs = Object.entries(data).map(([name, text]) => [`config/${name}`, text] as const);
  for (const [path, text] of [...configs, ...Object.entries(secrets)]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), here(text));
  }
  const [container] = (find('DaemonSet') as DaemonSet).spec.template.spec.containers;
  const files = container.args.filter((argument) => argument.includes(MOUNTS)).map(here);
  const agent = await WebAgent.startCommand('run', ['--no-collector.kernel', '--qemu.log=/nowhere/*.log', ...files]);
  return { agent, probe: container.readinessProbe as Probe, here };
}

describe('web and config of the chart', OPTIONS, () => {
  afterEach(endAll);

  const authority = () => new CertificateAuthority('chart');
  const tls = ({ cert, key }: Certificate) => ({ 'tls/tls.crt': cert, 'tls/tls.key': key });

  test('tlsSecret serves HTTPS, and the probe asks for it', async (t) => {
    const server = authority().issue('agent');
    const values = { web: { tlsSecret: 'cert' }, config: { log: { level: 'debug' } } };
    const { agent, probe } = await startPod(t, values, tls(server));
    assert.deepEqual(probe.httpGet, { path: '/-/healthy', port: 'metrics', scheme: 'HTTPS' });
    assert.ok(agent.url.startsWith('https:'), agent.log);
    // Kubelet verifies no certificate.
    const answer = await ask(`${agent.url}${probe.httpGet?.path}`, { rejectUnauthorized: false } as object);
    assert.ok(typeof answer !== 'string' && answer.status === 200);
  });

  test('clientCa asks for client certificates, and the probe does without', async (t) => {
    const own = authority();
    const values = { web: { tlsSecret: 'cert', clientCa: 'ca' } };
    const secrets = { ...tls(own.issue('agent')), 'client-ca/ca.crt': readFileSync(own.ca.certFile, 'utf8') };
    const { agent, probe, here } = await startPod(t, values, secrets);
    const { cert, key } = own.issue('prometheus');
    const trusted = await ask(`${agent.url}/metrics`, { ca: own.ca.cert, cert, key } as object);
    assert.ok(typeof trusted !== 'string' && trusted.status === 200, String(trusted));
    assert.equal(typeof (await ask(`${agent.url}/metrics`, { ca: own.ca.cert } as object)), 'string');

    const command = probe.exec?.command ?? [];
    const { healthcheck } = configOf(DOCKERFILE);
    assert.deepEqual(command.slice(0, healthcheck.length), healthcheck);
    const args = command.slice(2).map((argument) => here(argument).replace(':10586', `:${agent.port}`));
    const health = runAgent(...args);
    assert.deepEqual([health.status, health.stderr], [0, '']);
  });
});
