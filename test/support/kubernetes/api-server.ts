/**
 * A Kubernetes API server as far as a watch of pods needs one: HTTPS, a token, a list, and a watch that stays open. Its
 * answers have the form of a real one's (Kubernetes 1.32; the metadata are those of an OpenShift Virtualization
 * launcher pod). Tests make it fail with `override`.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CertificateAuthority } from '../certificate-authority.js';
import { endLater } from '../end-later.js';
import { HANG_MS } from '../patience.js';

export interface FakePod {
  readonly name: string;
  readonly uid: string;
  readonly namespace?: string;
  readonly vmi?: string;
  readonly annotations?: Record<string, string>;
}

/** Answers a request instead of the server and returns true, or returns false. */
export type Override = (request: { readonly watch: boolean; readonly url: URL }, response: ServerResponse) => boolean;

export class FakeApiServer {
  readonly requests: { readonly url: URL; readonly headers: IncomingMessage['headers'] }[] = [];
  readonly tokenFile: string;
  readonly caFile: string;
  url = '';
  override: Override = () => false;
  /** Pods in one part of a list. */
  page = 500;
  readonly #pods = new Map<string, object>();
  readonly #watches = new Set<ServerResponse>();
  #version = 1000;

  private constructor(authority: CertificateAuthority) {
    this.tokenFile = join(authority.folder, 'token');
    this.caFile = authority.ca.certFile;
    this.setToken('first-token');
  }

  /** @param certificate what its certificate has instead of two days and this host's name */
  static async start(certificate: Parameters<CertificateAuthority['issue']>[1] = {}): Promise<FakeApiServer> {
    const authority = new CertificateAuthority('kubernetes');
    const { cert, key } = authority.issue('kube-apiserver', certificate);
    const fake = new FakeApiServer(authority);
    const server = createServer({ cert, key }, (request, response) => fake.#answer(request, response));
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    assert.ok(address !== null && typeof address !== 'string');
    fake.url = `https://127.0.0.1:${address.port}`;
    endLater(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return fake;
  }

  /** Renews the token, as kubelet does: the file changes, and the old token is no longer accepted. */
  setToken(token: string): void {
    writeFileSync(this.tokenFile, `${token}\n`);
  }

  put(pod: FakePod): void {
    const type = this.#pods.has(pod.uid) ? 'MODIFIED' : 'ADDED';
    const object = this.#object(pod);
    this.#pods.set(pod.uid, object);
    this.send({ type, object });
  }

  delete(pod: FakePod): void {
    this.#pods.delete(pod.uid);
    this.send({ type: 'DELETED', object: this.#object(pod) });
  }

  bookmark(): void {
    const metadata = { resourceVersion: String(++this.#version), creationTimestamp: null };
    this.send({
      type: 'BOOKMARK',
      object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata },
    });
  }

  /** Sends a line to all open watches. */
  send(line: object | string): void {
    const text = typeof line === 'string' ? line : JSON.stringify(line);
    for (const watch of this.#watches) watch.write(`${text}\n`);
  }

  /** Ends all watches, as the server does after their duration; with `cut` the connection breaks. */
  endWatches(cut = false): void {
    for (const watch of this.#watches) {
      if (cut) watch.destroy();
      else watch.end();
    }
  }

  get watches(): number {
    return this.#watches.size;
  }

  async until(what: string, isReached: () => boolean, withinMs = HANG_MS): Promise<void> {
    for (const deadline = Date.now() + withinMs; !isReached(); await sleep(5))
      if (Date.now() > deadline) assert.fail(`${what}: not within ${withinMs} ms`);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', this.url);
    this.requests.push({ url, headers: request.headers });
    const watch = url.searchParams.get('watch') === '1';
    if (this.override({ watch, url }, response)) return;
    const token = readFileSync(this.tokenFile, 'utf8').trim();
    if (request.headers.authorization !== `Bearer ${token}`) return refuse(response, 401, 'Unauthorized');
    if (url.pathname !== '/api/v1/pods')
      return refuse(response, 404, 'the server could not find the requested resource');
    if (watch) this.#watch(response);
    else this.#list(url, response);
  }

  #list(url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('continue') ?? 0);
    const items = [...this.#pods.values()].slice(from, from + this.page);
    const end = from + items.length;
    const metadata = {
      resourceVersion: String(this.#version),
      ...(end < this.#pods.size && { continue: String(end), remainingItemCount: this.#pods.size - end }),
    };
    const kind = 'PartialObjectMetadataList';
    // A real server, written in Go, has no items instead of zero items.
    const list = { kind, apiVersion: 'meta.k8s.io/v1', metadata, items: items.length > 0 ? items : null };
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(list));
  }

  #watch(response: ServerResponse): void {
    response.setHeader('Content-Type', 'application/json');
    response.flushHeaders();
    this.#watches.add(response);
    response.on('close', () => this.#watches.delete(response));
  }

  #object({ name, uid, namespace = 'default', vmi, annotations = {} }: FakePod): object {
    const owner = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachineInstance', name: vmi, controller: true };
    return {
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: {
        ...{ name, generateName: name.slice(0, -5), namespace, uid, resourceVersion: String(++this.#version) },
        creationTimestamp: '2026-11-23T14:01:56Z',
        ...(vmi !== undefined && {
          labels: { 'kubevirt.io': 'virt-launcher', 'vm.kubevirt.io/name': vmi },
          ownerReferences: [{ ...owner, uid: '3cbb32a1-f11c-4065-99e6-62ce670bff12', blockOwnerDeletion: true }],
        }),
        annotations: { 'kubectl.kubernetes.io/default-container': 'compute', ...annotations },
      },
    };
  }
}

/** Answers with an error as a real server does: with a Status object. */
export function refuse(response: ServerResponse, code: number, message: string, headers: Record<string, string> = {}) {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code };
  response.writeHead(code, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(status));
}
