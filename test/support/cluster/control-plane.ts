/** A real Kubernetes control plane on loopback, on ports of its own: etcd, API server, and controllers if asked for. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { CertificateAuthority } from '../certificate-authority.js';
import { freePort } from '../free-port.js';
import type { KubernetesObject } from '../kubernetes/kubernetes-schemas.js';
import { CRDS, type Program, pathOfProgram } from './binaries.js';

const START_TIMEOUT_MS = 120_000;
const REQUEST_TIMEOUT_MS = 60_000;

export interface ControlPlaneOptions {
  /** Also starts the controllers: of DaemonSets, namespaces, owned objects ... */
  readonly controllers?: boolean;
  /** Configuration of the API server's admission plugins, such as a quota that pods of critical priority need. */
  readonly admission?: object;
}

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class ControlPlane {
  readonly folder = mkdtempSync(join(tmpdir(), 'control-plane-'));
  readonly kubeconfig = join(this.folder, 'kubeconfig');
  readonly caFile: string;
  readonly url: string;
  readonly #authority = new CertificateAuthority('kubernetes');
  readonly #programs = new Map<Program, ChildProcess>();
  readonly #etcdPort: number;
  readonly #apiArgs: readonly string[];

  private constructor(etcdPort: number, apiPort: number, { admission, controllers = false }: ControlPlaneOptions) {
    this.#etcdPort = etcdPort;
    this.url = `https://127.0.0.1:${apiPort}`;
    this.caFile = this.#authority.ca.certFile;
    const { certFile, keyFile } = this.#authority.issue('kube-apiserver');
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#write('tokens.csv', 'admin,admin,1,system:masters\ncontrollers,controllers,2,system:masters\n');
    this.#write('sa.pub', publicKey.export({ type: 'spki', format: 'pem' }));
    this.#write('sa.key', privateKey.export({ type: 'pkcs1', format: 'pem' }));
    this.#write('kubeconfig', this.kubeconfigOf('admin'));
    this.#write('controllers.kubeconfig', this.kubeconfigOf('controllers'));
    if (admission !== undefined) this.#write('admission.yaml', stringify(admission));
    this.#apiArgs = [
      `--etcd-servers=http://127.0.0.1:${etcdPort}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${apiPort}`,
      `--tls-cert-file=${certFile}`,
      `--tls-private-key-file=${keyFile}`,
      // Endpoints of a Service must not be loopback addresses.
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${this.#path('sa.pub')}`,
      `--service-account-signing-key-file=${this.#path('sa.key')}`,
      `--token-auth-file=${this.#path('tokens.csv')}`,
      '--authorization-mode=Node,RBAC',
      // A controller creates the service account of each namespace, which pods need.
      ...(controllers ? [] : ['--disable-admission-plugins=ServiceAccount']),
      '--allow-privileged=true',
      ...(admission === undefined ? [] : [`--admission-control-config-file=${this.#path('admission.yaml')}`]),
    ];
  }

  /** @throws if a program ends, or the API server is not ready in time */
  static async start(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
    const cluster = new ControlPlane(await freePort(), await freePort(), options);
    try {
      const [client, peer] = [`http://127.0.0.1:${cluster.#etcdPort}`, `http://127.0.0.1:${await freePort()}`];
      cluster.#start('etcd', [
        `--data-dir=${cluster.#path('etcd')}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=default=${peer}`,
        '--unsafe-no-fsync',
      ]);
      await cluster.startApiServer();
      if (options.controllers === true)
        cluster.#start('kube-controller-manager', [
          `--kubeconfig=${cluster.#path('controllers.kubeconfig')}`,
          '--bind-address=127.0.0.1',
          `--secure-port=${await freePort()}`,
          `--service-account-private-key-file=${cluster.#path('sa.key')}`,
          '--leader-elect=false',
        ]);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async startApiServer(): Promise<void> {
    this.#start('kube-apiserver', this.#apiArgs);
    for (const deadline = Date.now() + START_TIMEOUT_MS; !(await this.#isReady()); await sleep(200))
      assert.ok(Date.now() < deadline && this.#isRunning('kube-apiserver'), this.#logOf('kube-apiserver'));
  }

  /** Ends one program; SIGSTOP only halts it. */
  async kill(name: Program, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#programs.get(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await ended;
  }

  async stop(): Promise<void> {
    for (const name of [...this.#programs.keys()].reverse()) await this.kill(name);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs kubectl as the cluster's administrator. @throws if it fails */
  async kubectl(args: readonly string[], input = ''): Promise<string> {
    const { status, stdout, stderr } = await this.tryKubectl(args, input);
    assert.equal(status, 0, `kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  async tryKubectl(args: readonly string[], input = ''): Promise<CommandResult> {
    return this.run('kubectl', args, input);
  }

  /** Runs a program with the administrator's kubeconfig. */
  async run(name: 'kubectl' | 'helm', args: readonly string[], input = ''): Promise<CommandResult> {
    const env = { ...process.env, KUBECONFIG: this.kubeconfig, HOME: this.folder };
    return new Promise((resolve) => {
      const child = execFile(pathOfProgram(name), args, { env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ status, stdout, stderr });
      });
      child.stdin?.end(input);
    });
  }

  /** Sends a request as the administrator, without the cost of a process. A patch is a JSON merge patch. */
  async ask(
    method: string,
    path: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly status: number; readonly body: string }> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const options = {
      method,
      ca: readFileSync(this.caFile),
      headers: { Authorization: 'Bearer admin', 'Content-Type': type, ...headers },
      agent: false,
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    };
    return new Promise((resolve, reject) => {
      const asked = request(this.url + path, options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.on('error', reject);
      });
      asked.on('error', reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Creates an object. Returns it as the server has stored it. @throws if the server refuses it */
  async create<T extends KubernetesObject>(path: string, object: object): Promise<T> {
    const { status, body } = await this.ask('POST', path, object);
    assert.equal(status, 201, `POST ${path}: ${body}`);
    return JSON.parse(body);
  }

  /** @param what such as `pods --all-namespaces` */
  async list<T extends KubernetesObject>(...what: readonly string[]): Promise<T[]> {
    return JSON.parse(await this.kubectl(['get', '--output=json', ...what])).items;
  }

  /** A token of a service account, as kubelet writes it into a pod. */
  async tokenOf(namespace: string, account: string): Promise<string> {
    return (await this.kubectl(['create', 'token', account, `--namespace=${namespace}`])).trim();
  }

  async installCrds(): Promise<void> {
    await this.kubectl(['create', `--filename=${CRDS}`]);
    await this.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  }

  kubeconfigOf(token: string): string {
    return stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: this.url, 'certificate-authority': this.caFile } }],
      users: [{ name: 'test', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    });
  }

  #start(name: Program, args: readonly string[]): void {
    const log = openSync(this.#path(`${name}.log`), 'a');
    const child = spawn(pathOfProgram(name), args, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#programs.set(name, child);
    // For a test that ends before it stops the control plane.
    const kill = () => child.kill('SIGKILL');
    process.on('exit', kill);
    child.once('exit', () => process.off('exit', kill));
  }

  #isRunning(name: Program): boolean {
    const child = this.#programs.get(name);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await this.ask('GET', '/readyz')).status === 200;
    } catch {
      return false;
    }
  }

  #logOf(name: Program): string {
    return readFileSync(this.#path(`${name}.log`), 'utf8').slice(-4000);
  }

  #path(name: string): string {
    return join(this.folder, name);
  }

  #write(name: string, text: string | Buffer): void {
    writeFileSync(this.#path(name), text);
  }
}
