/**
 * Pods, as an API server tells of them (PURE). Only their metadata is asked for: what runs in them is nobody's business here.
 *
 *   {"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"1452"},"items":[
 *     {"metadata":{"name":"virt-launcher-vm-a-x2k9p","namespace":"default","uid":"1b5c2c4e-...","ownerReferences":[
 *       {"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstance","name":"vm-a","uid":"3cbb32a1-..."}]}}]}
 *
 *   {"type":"DELETED","object":{"kind":"PartialObjectMetadata","metadata":{...}}}                 a watch: one a line
 *   {"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1502"}}}
 *   {"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version: 1 (1502)"}}
 *
 * Specified by "Kubernetes API Concepts" (efficient detection of changes, metadata-only fetches); unchanged since Kubernetes 1.15.
 */

export interface Pod {
  /** As its cgroup has it. */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** KubeVirt's VirtualMachineInstance; '' where it is another kind of pod. */
  readonly vmi: string;
}

export interface PodList {
  readonly pods: readonly Pod[];
  /** The state of the cluster that it shows: where a watch goes on. */
  readonly version: string;
  /** What to ask for the rest with; '' where there is none. */
  readonly next: string;
}

export type PodChange =
  | { readonly kind: 'there' | 'gone'; readonly pod: Pod; readonly version: string }
  | { readonly kind: 'bookmark'; readonly version: string }
  /** The server ends the watch: with 410 what was asked for is too old. */
  | { readonly kind: 'error'; readonly code: number; readonly message: string };

/** Kubelet's own name for a pod that it took from a file: its cgroup has this, the API server another uid. */
const STATIC_POD = 'kubernetes.io/config.hash';
const VMI = 'VirtualMachineInstance';
/** A label, so never longer than 63 characters: the owner's own name goes first. */
const VMI_NAME = 'vm.kubevirt.io/name';

const CHANGES: Record<string, 'there' | 'gone'> = { ADDED: 'there', MODIFIED: 'there', DELETED: 'gone' };

/** Undefined where it is no list of pods. */
export function readPodList(answer: unknown): PodList | undefined {
  const { items, metadata } = objectOf(answer);
  if (!Array.isArray(items)) return undefined;
  const { resourceVersion, continue: next } = objectOf(metadata);
  return {
    pods: items.flatMap((item) => readPod(item) ?? []),
    version: textOf(resourceVersion),
    next: textOf(next),
  };
}

/** Undefined where it is no line of a watch. */
export function readPodChange(line: unknown): PodChange | undefined {
  const { type, object } = objectOf(line);
  const version = textOf(objectOf(objectOf(object).metadata).resourceVersion);
  if (type === 'BOOKMARK') return version === '' ? undefined : { kind: 'bookmark', version };
  if (type === 'ERROR') return { kind: 'error', ...readStatus(object) };
  const kind = CHANGES[textOf(type)];
  const pod = readPod(object);
  return kind === undefined || pod === undefined || version === '' ? undefined : { kind, pod, version };
}

/** What the server says when it can't: a Status object. */
export function readStatus(answer: unknown): { readonly code: number; readonly message: string } {
  const { code, message } = objectOf(answer);
  return { code: typeof code === 'number' ? code : 0, message: textOf(message) };
}

function readPod(item: unknown): Pod | undefined {
  const metadata = objectOf(objectOf(item).metadata);
  const annotations = objectOf(metadata.annotations);
  const [uid, namespace, name] = [metadata.uid, metadata.namespace, metadata.name].map(textOf);
  if (!uid || !namespace || !name) return undefined;
  const owners = Array.isArray(metadata.ownerReferences) ? metadata.ownerReferences.map(objectOf) : [];
  const owner = owners.find(({ kind }) => kind === VMI);
  const vmi = textOf(owner?.name) || textOf(objectOf(metadata.labels)[VMI_NAME]);
  return { uid: textOf(annotations[STATIC_POD]) || uid, namespace, name, vmi };
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
