/**
 * A rule of the advice: which exits it looks at, from what rate on they are too many, why that is so, and what to
 * change. Rules are data, so that findings, documentation and queries are made from the same lines.
 */
import type { PageFaultKind } from '../../count/indices/page-faults.js';
import type { TimeState } from '../../count/time/vcpu-time.js';
import type { Layer } from '../../snapshot/tables/layer.js';

/** What a rule looks at. */
export type Match = CountMatch | TimeMatch;

/** Exits, and what KVM does without one. */
export type CountMatch = ExitMatch | IoMatch | SignalMatch | MsrMatch | FaultMatch;

/** Time of vCPUs. Its rates are seconds per second. */
export type TimeMatch = StateMatch | StatisticMatch;

/** Exits of a layer for one of these reasons; of layer `kvm` only those that KVM handled itself. */
export interface ExitMatch {
  readonly exits: Layer;
  readonly reasons: readonly string[];
}

/** Accesses to ports or memory that reached QEMU. */
export interface IoMatch {
  readonly io: 'pio' | 'mmio';
  /** First and last address. */
  readonly addresses?: readonly (readonly [first: number, last: number])[];
  /** Names of devices as `info mtree` of QEMU has them, or as src/count/vcpu/pc-devices.ts has them. */
  readonly devices?: RegExp;
  readonly direction?: 'in' | 'out';
}

/** Kicks that KVM took for a device, without an exit to QEMU. */
export interface SignalMatch {
  readonly signals: 'ioeventfd';
}

/** Accesses to model-specific registers that KVM handled; known with the collector `indices` only. */
export interface MsrMatch {
  /** Names by src/count/indices/msr-names.ts. */
  readonly msrs: readonly string[];
  readonly direction: 'read' | 'write';
}

/** Page faults that KVM handled; known with the collector `indices` only. */
export interface FaultMatch {
  readonly faults: readonly PageFaultKind[];
}

/** Time that vCPUs spend in a state. */
export interface StateMatch {
  readonly state: TimeState;
}

/** Time in KVM's own statistics. */
export interface StatisticMatch {
  /** Names that KVM gives to them: `halt_poll_fail_ns`. */
  readonly statistics: readonly string[];
}

/** What to change, by who can change it. A rule has those that exist. */
export interface Changes {
  /** Inside the guest. */
  readonly guest?: string;
  /** On the host, whatever the VMM. */
  readonly host?: string;
  /** Arguments of QEMU. */
  readonly qemu?: string;
  /** XML below `<domain>`. */
  readonly libvirt?: string;
  /** A path and its value below `spec.template.spec` of a VirtualMachine. */
  readonly kubevirt?: string;
  /** A command of Proxmox; VMID is the number of the VM. */
  readonly proxmox?: string;
}

/** `warning`: often costs a large part of a vCPU. `info`: worth a look. */
export type Severity = 'warning' | 'info';

export interface Rule {
  /** Value of the label `advice`, and name of the page in docs/advice. */
  readonly id: string;
  /** Title of the finding, a sentence without its full stop: `The guest reads the HPET`. */
  readonly title: string;
  readonly severity: Severity;
  /** How well the cause is known: `high` if public documents or measurements name both cause and cure. */
  readonly confidence: 'high' | 'medium' | 'low';
  readonly matches: readonly Match[];
  /**
   * Rate from which on a vCPU has too many of them. It decides where their cost is not known. The rate of a time always
   * decides.
   */
  readonly perVcpuSecond: number;
  /** Further conditions, all of which must hold. */
  readonly when?: Conditions;
  /** True for what firmware and kernels do while they boot: it ends by itself. */
  readonly isBoot?: true;
  /** True if it names no cause in particular: it is silent where another rule does. */
  readonly isVague?: true;
  /** One or two sentences: why the guest does this. */
  readonly cause: string;
  /** Why it costs time, and what else to know before changing anything. */
  readonly why: string;
  readonly changes: Changes;
  /** How to check that the change worked, where these exits stay all the same. */
  readonly check?: string;
  /** Addresses of public documents that name the cause or the cure. */
  readonly sources: readonly string[];
}

export interface Conditions {
  /** The mean of one lasts at least this long. */
  readonly minMeanSeconds?: number;
  /** The mean of one lasts at most this long. */
  readonly maxMeanSeconds?: number;
  /** One in a hundred lasts at least this long. */
  readonly minP99Seconds?: number;
  /** They are at least this share of the exits of their layer. */
  readonly minShareOfLayer?: number;
  /** The VM also exits to KVM for this reason. */
  readonly besides?: string;
  /** Something of the VM keeps APICv or AVIC off; known with the collector `indices` only. */
  readonly isApicvOff?: true;
  /** Their time is not what is lost, as with an idle guest: the rate alone decides. */
  readonly hasNoCost?: true;
}
