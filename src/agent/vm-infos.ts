import type { VmInfo } from '../snapshot/tables/vms.js';
import type { Inventory } from '../vm/inventory.js';
import { byStart, type Vm } from '../vm/tables/vm.js';

export interface VmInfoOptions {
  /** True if the VMs are those of the demo's recording. */
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

/** Returns a function that describes the VMs of the inventory, as they are when it is called. */
export function vmInfosOf(
  inventory: Inventory,
  { demo = false, podOf = () => undefined }: VmInfoOptions = {},
): () => VmInfo[] {
  /** The pods found so far: a pod is deleted before its VM's grace period is over. */
  const pods = new WeakMap<Vm, PodName>();
  return () =>
    oneByLabel(inventory.vms()).map((vm) => {
      const found = vm.podUid === '' ? undefined : podOf(vm.podUid);
      if (found !== undefined) pods.set(vm, found);
      const pod = pods.get(vm);
      // Every text of a VM that is not named here is a label.
      const { name, label, startTime, stoppedMs, uid, vmId, sandbox, ...labels } = vm;
      return {
        ...labels,
        vm: label,
        pid: String(vm.pid),
        namespace: pod?.namespace ?? vm.namespace,
        pod: pod?.name ?? '',
        vmi: vm.vmi || (pod?.vmi ?? ''),
        demo: String(demo),
        vcpus: inventory.vcpuCount(vm),
      };
    });
}

/** Keeps one VM of each label: the latest life of those that had it. */
function oneByLabel(vms: readonly Vm[]): readonly Vm[] {
  const byLabel = new Map<string, Vm>();
  for (const vm of vms) {
    const known = byLabel.get(vm.label);
    if (known === undefined || isLater(vm, known)) byLabel.set(vm.label, vm);
  }
  return [...byLabel.values()];
}

/** A VM that runs comes after one that has stopped, and one that raises events after one that does not yet. */
function isLater(a: Vm, b: Vm): boolean {
  const rank = ({ stoppedMs, series }: Vm) => (Number.isNaN(stoppedMs) ? 2 : 0) + (series > 0 ? 1 : 0);
  return (rank(a) - rank(b) || byStart(a, b)) > 0;
}
