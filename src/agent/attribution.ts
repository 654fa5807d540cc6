import { basename } from 'node:path';
import type { QemuCounts } from '../count/qemu/qemu-counts.js';
import type { QemuOwner } from '../count/qemu-views.js';
import type { Attribution } from '../count/thread-owners.js';
import type { VmInfo } from '../snapshot/snapshot.js';
import type { DeviceRanges } from '../trace/sink.js';
import { vcpuOfComm } from '../vm/identify/comm.js';
import type { Inventory } from '../vm/inventory.js';
import type { Vm } from '../vm/vm.js';

export interface AttributionOptions {
  /** Names of threads as a recording gives them: of one whose VM nobody knows, the name may still tell the vCPU. */
  readonly comms?: ReadonlyMap<number, string>;
  /** By label of the VM. */
  readonly devicesOf?: (vm: string) => DeviceRanges | undefined;
}

export interface VmInfoOptions {
  /** True where the VMs are those of the demo's recording. */
  readonly demo?: boolean;
  /** Looks a pod up by its uid. */
  readonly podOf?: ((uid: string) => PodName | undefined) | undefined;
}

/** What the API server knows of a VM's pod. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
  readonly vmi: string;
}

/** The inventory as the ledger asks for it. */
export function attributionOf(
  inventory: Inventory,
  { comms, devicesOf = () => undefined }: AttributionOptions = {},
): Attribution {
  return {
    devicesOf,
    ownerOf(tid) {
      const thread = inventory.find(tid);
      const vcpu = thread?.vcpu ?? vcpuOfComm(comms?.get(tid) ?? '');
      return { vm: thread?.vm, vcpu: vcpu < 0 ? '' : String(vcpu) };
    },
  };
}

/** Returns a function that describes the VMs of the inventory, as they are when it is called. */
export function vmInfosOf(
  inventory: Inventory,
  { demo = false, podOf = () => undefined }: VmInfoOptions = {},
): () => VmInfo[] {
  /** The pods found so far: a pod is deleted before its VM's grace period is over. */
  const pods = new WeakMap<Vm, PodName>();
  return () =>
    inventory.vms().map((vm) => {
      const found = vm.podUid === '' ? undefined : podOf(vm.podUid);
      if (found !== undefined) pods.set(vm, found);
      const pod = pods.get(vm);
      return {
        vm: vm.label,
        uuid: vm.uuid,
        pid: String(vm.pid),
        vmm: vm.vmm,
        namespace: pod?.namespace ?? vm.namespace,
        pod: pod?.name ?? '',
        podUid: vm.podUid,
        vmi: vm.vmi || (pod?.vmi ?? ''),
        containerId: vm.containerId,
        demo: String(demo),
        vcpus: inventory.vcpuCount(vm),
      };
    });
}

/** A log is of one VM: that of any of its threads known, else the one that the file is named after. */
export function ownerOfLog(inventory: Inventory, path: string, counts: () => QemuCounts): QemuOwner {
  return (id) => {
    for (const tid of [id, ...counts().events.keys()]) {
      const thread = tid === 0 ? undefined : (inventory.find(tid) ?? inventory.byNamespacedTid(undefined, tid));
      if (thread !== undefined) return thread.vm.label;
    }
    return vmOfFileName(path);
  };
}

/** Simple traces name the process. */
export function ownerOfSimple(inventory: Inventory): QemuOwner {
  return (pid) => inventory.find(pid)?.vm.label ?? String(pid);
}

/** libvirt names a log after its domain: `vm-a.log`, `vm-a.log.1`, `vm-a.log-20261123.gz`. */
export function vmOfFileName(path: string): string {
  return basename(path)
    .replace(/\.(gz|xz|zst)$/, '')
    .replace(/(\.\d+|-\d{8})$/, '')
    .replace(/\.(log|txt)$/, '');
}
