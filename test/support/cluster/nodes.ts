/** Nodes without machines, and what kubelet and the scheduler do for their pods. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubernetesObject } from '../kubernetes/kubernetes-schemas.js';
import type { ControlPlane } from './control-plane.js';

const ROUND_MS = 200;

export interface Pod extends KubernetesObject {
  readonly metadata: KubernetesObject['metadata'] & {
    readonly uid: string;
    readonly namespace: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly nodeName?: string;
    readonly affinity?: NodeAffinity;
    readonly containers: readonly Container[];
  };
}

interface Container {
  readonly image: string;
  readonly readinessProbe?: { readonly httpGet?: { readonly path: string } };
}

/** The controller of DaemonSets puts the name of the node there. */
interface NodeAffinity {
  readonly nodeAffinity?: {
    readonly requiredDuringSchedulingIgnoredDuringExecution?: {
      readonly nodeSelectorTerms: readonly {
        readonly matchFields?: readonly { readonly values: readonly string[] }[];
      }[];
    };
  };
}

export async function addNodes(cluster: ControlPlane, names: readonly string[]): Promise<void> {
  const labels = { 'kubernetes.io/os': 'linux', 'kubevirt.io/schedulable': 'true' };
  for (const name of names)
    await cluster.create('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } });
}

/** Takes care of all pods until the signal is aborted. `isReady` is the answer of a pod's readiness probe. */
export async function runNodes(
  cluster: ControlPlane,
  isReady: (pod: Pod) => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  for (; !signal.aborted; await sleep(ROUND_MS)) {
    const { items }: { items: Pod[] } = JSON.parse((await cluster.ask('GET', '/api/v1/pods')).body);
    await Promise.all(items.map((pod) => carryOn(cluster, pod, isReady)));
  }
}

/** The next step in the life of a pod: bound to its node, then running, then removed. */
async function carryOn(cluster: ControlPlane, pod: Pod, isReady: (pod: Pod) => Promise<boolean>): Promise<void> {
  const { name, namespace, deletionTimestamp } = pod.metadata;
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  if (deletionTimestamp !== undefined) {
    await cluster.ask('DELETE', `${path}?gracePeriodSeconds=0`);
  } else if (pod.spec.nodeName === undefined) {
    const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    const target = { apiVersion: 'v1', kind: 'Node', name: terms?.[0]?.matchFields?.[0]?.values[0] };
    await cluster.ask('POST', `${path}/binding`, { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target });
  } else {
    const status = (await isReady(pod)) ? 'True' : 'False';
    const conditions = [{ type: 'Ready', status, lastTransitionTime: new Date().toISOString() }];
    await cluster.ask('PATCH', `${path}/status`, { status: { phase: 'Running', conditions } });
  }
}

/** Waits until `isReached` holds. `what` describes it, and may have the state. */
export async function until(
  what: () => string | Promise<string>,
  isReached: () => boolean | Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  for (const deadline = Date.now() + withinMs; !(await isReached()); await sleep(100))
    if (Date.now() > deadline) assert.fail(`not within ${withinMs} ms: ${await what()}`);
}
