import type { LiveAuditRow } from '../../audit/live-audit.js';
import type { LedgerTotals } from '../../count/ledger-totals.js';
import { cleared, kept, RowTable, type VmRow } from './row-table.js';

/** A VM that is shown whether it had events or not. Text is '' where it is not known or does not apply. */
export interface VmInfo extends VmRow {
  readonly uuid: string;
  readonly pid: string;
  readonly vmm: string;
  /** What started the VMM, and keeps its settings: `libvirt`, `proxmox`, `kubevirt`, `kata`. */
  readonly manager: string;
  readonly namespace: string;
  /** The pod's name, which only the API server knows. */
  readonly pod: string;
  readonly podUid: string;
  /** KubeVirt's VirtualMachineInstance. */
  readonly vmi: string;
  readonly containerId: string;
  /** `true` for a VM that `demo` replays, else `false`. */
  readonly demo: string;
  readonly vcpus: number;
  /** Start of the VM's process, in seconds since 1970; NaN if it is not known. */
  readonly startSeconds: number;
  /** Number that stays the same as long as the VM's series continue, across restarts; 0 before its first event. */
  readonly series: number;
}

/** What was counted, and the VMs as the inventory knows them. */
export interface TotalsWithVms extends LedgerTotals {
  readonly vmInfos: readonly VmInfo[];
  /** Our counts against KVM's own. */
  readonly audit: readonly LiveAuditRow[];
}

/** The VMs themselves. */
export const VMS = new RowTable<VmInfo, TotalsWithVms>({
  rows: ({ vmInfos, vms }) =>
    vmInfos.map((info) => {
      const seen = [...(vms.get(info.vm)?.vcpus.keys() ?? [])].filter((vcpu) => vcpu !== '').length;
      return { ...info, vcpus: Math.max(info.vcpus, seen) };
    }),
  labels: {
    uuid: cleared('uuid'),
    pid: cleared('pid'),
    vmm: cleared('vmm'),
    manager: cleared('manager'),
    namespace: cleared('namespace'),
    pod: cleared('pod'),
    podUid: cleared('pod_uid'),
    vmi: cleared('vmi'),
    containerId: cleared('container_id'),
    demo: kept('demo'),
  },
  add: (a, b) => ({ ...a, vcpus: a.vcpus + b.vcpus }),
  isUnlimited: () => true,
  metrics: [
    {
      name: 'kvm_vm_info',
      type: 'gauge',
      help:
        'Identity of each VM, for joins; always 1. namespace, pod, pod_uid, vmi and container_id are set in Kubernetes only. ' +
        'demo="true": replayed from a recording, not a VM of this host.',
      otel: { name: 'kvm.vm.info', unit: '{vm}' },
      value: () => 1,
    },
    {
      name: 'kvm_vm_vcpus',
      type: 'gauge',
      help: 'Number of vCPU threads known of each VM.',
      otel: { name: 'kvm.vm.vcpus', unit: '{vcpu}' },
      columns: [],
      value: ({ vcpus }) => vcpus,
    },
  ],
});
