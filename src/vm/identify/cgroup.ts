/**
 * Reads what /proc/PID/cgroup says about a process (PURE). It has one line per hierarchy; with cgroup v2 only
 * `0::PATH`:
 *
 *   0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b5c…_….slice/cri-containerd-9f2c….scope
 *   4:memory:/kubepods/burstable/pod1b5c2c4e-…/9f2c…
 *   0::/machine.slice/machine-qemu\x2d3\x2dvm\x2da.scope/libvirt/emulator
 *   0::/qemu.slice/100.scope
 *
 * - Kubernetes pod: `pod<uid>` below `kubepods` (cgroupfs driver), or `…kubepods…-pod<uid with _>.slice` (systemd
 *   driver). The uid of a static pod is 32 hex digits.
 * - Container: `<64 hex digits>`, alone or as `cri-containerd-`, `crio-`, `docker-`, `libpod-…scope`. A containerd set
 *   up for the wrong driver joins pod and container with colons.
 * - Kata: `kata_<id>`, or `/kata_overhead/<id>`, which names no pod: only the vCPU threads are in the pod's group.
 * - libvirt: a systemd scope, or `/machine/qemu-3-vm-a.libvirt-qemu`. libvirt shortens names here, so the command line
 *   is the better source.
 * - Proxmox: `/qemu.slice/<id>.scope`.
 *
 * Seen from a container, whose own group is `/`, paths of other groups begin with `/..` and need not name `kubepods`
 * (cgroup_namespaces(7)). The innermost pod or container wins (Kubernetes in Docker). The QoS class and
 * `crio-conmon-…`, the container's monitor, are ignored.
 */

export interface CgroupFacts {
  readonly podUid?: string;
  readonly containerId?: string;
  /** Name of the libvirt domain, possibly shortened. */
  readonly libvirtScope?: string;
  /** Number of the VM in Proxmox. */
  readonly vmId?: string;
}

type Facts = { -readonly [K in keyof CgroupFacts]: CgroupFacts[K] };

const SYSTEMD_POD = /-pod([0-9a-f]{8}(?:_[0-9a-f]{4}){3}_[0-9a-f]{12}|[0-9a-f]{32})\.slice$/;
const CGROUPFS_POD = /^pod([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})$/;
const CONTAINER = /^(?:(?:cri-containerd|crio|docker|libpod)-)?([0-9a-f]{64})(?:\.scope)?$/;
const KATA = /^kata_([0-9A-Za-z][\w.-]*)$/;
const LIBVIRT_SCOPE = /^machine-(qemu.+)\.scope$/;
const LIBVIRT_PLAIN = /^(.+)\.libvirt-qemu$/;
const PROXMOX = /^(\d+)\.scope$/;

export function parseCgroup(text: string): CgroupFacts {
  const facts: Facts = {};
  for (const line of text.split('\n')) {
    const path = pathOf(line);
    // The hierarchies of cgroup v1 may differ: each fact is taken from the first one that has it.
    if (path.length > 1) Object.assign(facts, { ...factsOfPath(path), ...facts });
  }
  return facts;
}

function pathOf(line: string): string {
  const first = line.indexOf(':');
  const second = line.indexOf(':', first + 1);
  return first < 0 || second < 0 ? '' : line.slice(second + 1);
}

function factsOfPath(path: string): Facts {
  const facts: Facts = {};
  let parent = '';
  let kubernetes = false;
  for (const segment of path.split(/[/:]/)) {
    kubernetes ||= segment.includes('kubepods') || segment === '..';
    const pod =
      (segment.includes('kubepods') ? SYSTEMD_POD.exec(segment) : null) ??
      (kubernetes ? CGROUPFS_POD.exec(segment) : null);
    if (pod?.[1] !== undefined) facts.podUid = pod[1].replaceAll('_', '-');
    const container = containerOf(segment, parent);
    if (container !== undefined) facts.containerId = container;
    addDomain(facts, segment, parent);
    parent = segment;
  }
  return facts;
}

function containerOf(segment: string, parent: string): string | undefined {
  if (segment === 'kata_overhead') return undefined;
  // Below kata_overhead is the id of the sandbox, or the whole path of the pod again.
  if (parent === 'kata_overhead' && segment !== 'kubepods') return segment;
  return CONTAINER.exec(segment)?.[1] ?? KATA.exec(segment)?.[1];
}

function addDomain(facts: Facts, segment: string, parent: string): void {
  const scope = LIBVIRT_SCOPE.exec(segment)?.[1] ?? LIBVIRT_PLAIN.exec(segment)?.[1];
  if (scope !== undefined) {
    const domain = /^qemu-(?:\d+-)?(.+)$/.exec(unescapeUnit(scope));
    facts.libvirtScope = domain?.[1] ?? scope;
  }
  const proxmox = parent === 'qemu.slice' ? PROXMOX.exec(segment)?.[1] : undefined;
  if (proxmox !== undefined) facts.vmId = proxmox;
}

/** systemd writes bytes that a unit's name cannot hold as `\x2d`; several in a row may be one character of UTF-8. */
function unescapeUnit(name: string): string {
  return name.replace(/(?:\\x[0-9a-f]{2})+/g, (run) => {
    const bytes = run.split('\\x').slice(1);
    return new TextDecoder().decode(Uint8Array.from(bytes, (hex) => Number.parseInt(hex, 16)));
  });
}
