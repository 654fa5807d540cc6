/** Renders deploy/kubernetes by `kubectl kustomize`. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { pathOfProgram } from '../cluster/binaries.js';
import { ROOT } from '../paths.js';
import { skipUnless } from '../requirements.js';
import type { KubernetesObject } from './kubernetes-schemas.js';

/** That of the control plane's programs, else the one of this machine. */
const KUBECTL = existsSync(pathOfProgram('kubectl')) ? pathOfProgram('kubectl') : 'kubectl';
const FOLDER = join(ROOT, 'deploy/kubernetes');

export const COMPONENTS = readdirSync(join(FOLDER, 'components')).sort();

/** Components need kustomize 3.7, which kubectl contains from 1.21 on. Debian 12 has kubectl 1.20. */
export function needsKubectl(): { skip: string | false } {
  const { status, stdout } = spawnSync(KUBECTL, ['version', '--client', '--output=json'], { encoding: 'utf8' });
  const { major, minor } = status === 0 ? JSON.parse(stdout).clientVersion : { major: 0, minor: 0 };
  return skipUnless('kubectl', Number(major) > 1 || Number.parseInt(minor, 10) >= 21);
}

/** @param more other fields of the kustomization. @throws if kubectl fails or warns */
export async function render(components: readonly string[], more: object = {}): Promise<KubernetesObject[]> {
  return parseAllDocuments(await renderText(components, more)).map((document) => document.toJS());
}

/** The same as text. */
export async function renderText(components: readonly string[], more: object = {}): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'kustomize-'));
  const path = (name: string) => relative(folder, join(FOLDER, name));
  try {
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: [path('base')],
      components: components.map((name) => path(`components/${name}`)),
      ...more,
    };
    writeFileSync(join(folder, 'kustomization.yaml'), stringify(kustomization));
    const { stdout, stderr } = await promisify(execFile)(KUBECTL, ['kustomize', folder]);
    if (stderr !== '') throw new Error(`with ${components.join()}: ${stderr}`);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param path relative to the repository */
export function readYaml<T>(path: string): T {
  return parse(readFileSync(join(ROOT, path), 'utf8'));
}

/** The parts of the DaemonSet that tests check. */
export interface DaemonSet extends KubernetesObject {
  readonly spec: {
    readonly selector?: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly template: {
      readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
      readonly spec: PodSpec;
    };
  };
}

export interface PodSpec {
  readonly hostPID: boolean;
  readonly automountServiceAccountToken: boolean;
  readonly containers: readonly [Container];
  readonly volumes: readonly { readonly name: string; readonly hostPath: { readonly path: string } }[];
  readonly [field: string]: unknown;
}

export interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly securityContext: {
    readonly runAsUser: number;
    readonly runAsGroup: number;
    readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}
