/**
 * Parses an API server's answers about pods. Only the metadata of pods is requested, not what runs in them.
 *
 *   {"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"1452"},"items":[
 *     {"metadata":{"name":"virt-launcher-vm-a-x2k9p","namespace":"default","uid":"1b5c2c4e-...","ownerReferences":[
 *       {"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstance","name":"vm-a","uid":"3cbb32a1-..."}]}}]}
 *
 *   {"type":"DELETED","object":{"kind":"PartialObjectMetadata","metadata":{...}}}                 a line of a watch
 *   {"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1502"}}}
 *   {"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version: 1 (1502)"}}
 *
 * Specified by "Kubernetes API Concepts" (efficient detection of changes, metadata-only fetches); unchanged since
 * Kubernetes 1.15.
 */

export interface Pod {
  /** Uid as the name of the pod's cgroup contains it. */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** Name of KubeVirt's VirtualMachineInstance; '' for any other pod. */
  readonly vmi: string;
}

export interface PodList {
  readonly pods: readonly Pod[];
  /** Version of the cluster's state, from which a watch continues. */
  readonly version: string;
  /** Token for the next part of the list; '' at its end. */
  readonly next: string;
}

export type PodChange =
  | { readonly kind: 'present' | 'deleted'; readonly pod: Pod; readonly version: string }
  | { readonly kind: 'bookmark'; readonly version: string }
  /** The server ends the watch. Code 410: the version is too old, so the list has to be requested again. */
  | { readonly kind: 'error'; readonly code: number; readonly message: string };

/** Uid of a static pod, which kubelet starts from a file. Its cgroup contains this one; the API server has another. */
const STATIC_POD_UID = 'kubernetes.io/config.hash';
const VMI_KIND = 'VirtualMachineInstance';
/**
 * Label with the name of the VirtualMachineInstance. Labels are cut at 63 characters, so the owner's name is preferred.
 */
const VMI_LABEL = 'vm.kubevirt.io/name';

/** Names of objects are at most that long (Kubernetes, "Object Names and IDs"). */
const MAX_NAME_LENGTH = 253;

const CHANGES: ReadonlyMap<string, 'present' | 'deleted'> = new Map([
  ['ADDED', 'present'],
  ['MODIFIED', 'present'],
  ['DELETED', 'deleted'],
]);

/** Undefined if the answer is not a list of pods. */
export function parsePodList(answer: unknown): PodList | undefined {
  const { items, metadata } = objectOf(answer);
  // A real server writes an empty list as `"items":null`, as Go writes a slice that has no memory.
  if (items !== null && !Array.isArray(items)) return undefined;
  const { resourceVersion, continue: next } = objectOf(metadata);
  return {
    pods: (items ?? []).flatMap((item) => parsePod(item) ?? []),
    version: textOf(resourceVersion),
    next: textOf(next),
  };
}

/** Undefined if the line is not one of a watch. */
export function parsePodChange(line: unknown): PodChange | undefined {
  const { type, object } = objectOf(line);
  const version = textOf(objectOf(objectOf(object).metadata).resourceVersion);
  if (type === 'BOOKMARK') return version === '' ? undefined : { kind: 'bookmark', version };
  if (type === 'ERROR') return { kind: 'error', ...parseStatus(object) };
  const kind = CHANGES.get(textOf(type));
  const pod = parsePod(object);
  return kind === undefined || pod === undefined || version === '' ? undefined : { kind, pod, version };
}

/** Code and message of a Status object, which the server sends instead of an answer. */
export function parseStatus(answer: unknown): { readonly code: number; readonly message: string } {
  const { code, message } = objectOf(answer);
  return { code: typeof code === 'number' ? code : 0, message: textOf(message) };
}

/** Undefined if the item is not a pod, or if a name of it is longer than Kubernetes allows. */
export function parsePod(item: unknown): Pod | undefined {
  const metadata = objectOf(objectOf(item).metadata);
  const annotations = objectOf(metadata.annotations);
  const [uid, namespace, name] = [metadata.uid, metadata.namespace, metadata.name].map(textOf);
  if (!uid || !namespace || !name) return undefined;
  const owners = Array.isArray(metadata.ownerReferences) ? metadata.ownerReferences.map(objectOf) : [];
  const owner = owners.find(({ kind }) => kind === VMI_KIND);
  const vmi = textOf(owner?.name) || textOf(objectOf(metadata.labels)[VMI_LABEL]);
  const pod = { uid: textOf(annotations[STATIC_POD_UID]) || uid, namespace, name, vmi };
  return Object.values(pod).some((text) => text.length > MAX_NAME_LENGTH) ? undefined : pod;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
