/** Renders deploy/helm by `helm template`. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { pathOfProgram } from '../cluster/binaries.js';
import { ROOT } from '../paths.js';
import type { KubernetesObject } from './kubernetes-schemas.js';

export const CHART = join(ROOT, 'deploy/helm/kvm-exit-exporter');
/** Helm takes any chart for one of an old Kubernetes, unless it has asked a server. */
const KUBE_VERSION = '--kube-version=1.30';

export interface Rendering {
  readonly objects: readonly KubernetesObject[];
  /** Why Helm refused; '' if it did not. */
  readonly problem: string;
}

export function tryTemplate(
  values: object,
  release = 'kvm-exit-exporter',
  namespace = 'kvm-exit-exporter',
): Promise<Rendering> {
  const args = ['template', release, CHART, `--namespace=${namespace}`, KUBE_VERSION, '--values=-'];
  return new Promise((resolve) => {
    const child = execFile(pathOfProgram('helm'), args, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const documents = error === null ? parseAllDocuments(stdout) : [];
      resolve({
        objects: documents.map((document) => document.toJS()).filter((object) => object !== null),
        problem: error === null ? '' : stderr || error.message,
      });
    });
    // JSON is YAML, without a `no` that Helm would read as false.
    child.stdin?.end(JSON.stringify(values));
  });
}

/** @throws if Helm refuses */
export async function template(...args: Parameters<typeof tryTemplate>): Promise<readonly KubernetesObject[]> {
  const { objects, problem } = await tryTemplate(...args);
  if (problem !== '') throw new Error(problem);
  return objects;
}
