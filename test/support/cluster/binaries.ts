/**
 * The programs of a real Kubernetes control plane, and Helm. `build.ts` builds them once, into a cache outside of the
 * checkout.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { skipUnless } from '../requirements.js';

export const VERSIONS = {
  kubernetes: 'v1.37.2',
  etcd: 'v3.6.16',
  helm: 'v3.22.0',
  prometheusOperator: 'v0.95.2',
  controllerGen: 'v0.20.1',
} as const;

/** The programs of k8s.io/kubernetes that tests use. */
export const KUBERNETES_PROGRAMS = ['kube-apiserver', 'kube-controller-manager', 'kubectl'] as const;

export type Program = (typeof KUBERNETES_PROGRAMS)[number] | 'etcd' | 'helm';

const CACHE = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');

/** Another version has a folder of its own. */
export const CACHE_FOLDER = join(CACHE, 'kvm-exit-exporter-cluster', Object.values(VERSIONS).join('_'));

/** The custom resource definitions of the Prometheus Operator. */
export const CRDS = join(CACHE_FOLDER, 'crds');

/** Exists when everything was built. */
export const COMPLETE = join(CACHE_FOLDER, 'complete');

export function pathOfProgram(name: Program): string {
  return join(CACHE_FOLDER, name);
}

/** Options for `test`: skips it unless the programs are in the cache. */
export function needsControlPlane(): { skip: string | false } {
  return skipUnless('control-plane', existsSync(COMPLETE));
}
