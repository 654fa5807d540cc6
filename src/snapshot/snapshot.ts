/** What is known at one moment. Immutable: every view (Prometheus, OTLP, report) is a function of it. */

import type { DurationSummary } from '../count/counters/duration-histogram.js';
import type { SIGNAL_KINDS } from '../count/qemu/qemu-signals.js';
import type { Bus, Direction } from '../count/vcpu/io-table.js';
import type { MalformedKind } from '../trace/sink.js';

/** `kvm`: guest -> KVM. `qemu`: KVM -> userspace, the second leg of some of the same trips. Never to be added up. */
export type Layer = 'kvm' | 'qemu';

/** As an array has them, as far as they are used: where there are very many they are made one by one. */
export interface Rows<T> extends Iterable<T> {
  readonly length: number;
  map<U>(of: (row: T) => U): readonly U[];
  filter(keep: (row: T) => boolean): readonly T[];
}

export interface ExitCount {
  /** '' where the thread could not be identified. */
  readonly vm: string;
  /** '' where not known. */
  readonly vcpu: string;
  readonly layer: Layer;
  readonly reason: string;
  readonly count: number;
}

/** Exits that were paired with the entry that ended them. */
export interface ExitDuration extends DurationSummary {
  readonly vm: string;
  readonly layer: Layer;
  readonly reason: string;
}

/** Exits for which no entry was seen, though they were not handed on to userspace. */
export interface UnpairedCount {
  readonly vm: string;
  readonly layer: Layer;
  readonly count: number;
}

/** Where a vCPU was while it was not in its guest. */
export interface OutsideTime {
  readonly vm: string;
  readonly vcpu: string;
  readonly kvmSeconds: number;
  readonly qemuSeconds: number;
  /** The guest had nothing to do (HLT). */
  readonly idleSeconds: number;
}

export interface CauseCount {
  readonly vm: string;
  /** Of the hardware; `none` where no kvm_exit led to it. */
  readonly reason: string;
  readonly userspaceReason: string;
  readonly count: number;
}

export interface IoCount {
  readonly vm: string;
  readonly layer: Layer;
  readonly bus: Bus;
  readonly direction: Direction;
  /** A port or an MMIO page, `0x...`; `other` for all that have no series of their own. */
  readonly address: string;
  /** '' where not known. */
  readonly device: string;
  readonly count: number;
}

export interface EventfdCount {
  readonly vm: string;
  /**
   * ioeventfd: the guest kicks, without leaving KVM_RUN. irqfd: an interrupt from outside the vCPUs. Only as QEMU sees it: kick, which was an
   * exit; interrupt, which QEMU injects itself.
   */
  readonly kind: (typeof SIGNAL_KINDS)[number];
  readonly seenBy: 'kvm' | 'qemu';
  readonly device: string;
  readonly count: number;
}

export interface NamedCount {
  readonly name: string;
  readonly count: number;
}

export interface QemuEventCount {
  readonly vm: string;
  readonly event: string;
  readonly count: number;
}

export interface SourceState {
  readonly source: string;
  readonly up: boolean;
  readonly events: number;
  readonly drains: number;
  readonly drainSeconds: number;
  /** By host CPU, '' where the loss is not of one CPU. `unknownGaps`: gaps of which the kernel does not say how many events they took. */
  readonly lost: readonly { readonly cpu: string; readonly events: number; readonly unknownGaps: number }[];
  readonly malformed: readonly { readonly kind: MalformedKind; readonly count: number }[];
}

/** Of /metrics, its own process' apart. */
export interface SeriesUse {
  readonly count: number;
  /** How many got no place, by the limit that was in the way. */
  readonly limited: { readonly series: number; readonly series_per_vm: number };
}

/** A VM that is shown whether it had events or not. Text is '' where it is not known or does not apply. */
export interface VmInfo {
  readonly vm: string;
  readonly uuid: string;
  readonly pid: string;
  readonly vmm: string;
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
}

/** The parts of a snapshot whose rows each belong to a VM. */
export interface VmRows {
  readonly exits: ExitCount;
  readonly durations: ExitDuration;
  readonly unpaired: UnpairedCount;
  readonly outside: OutsideTime;
  readonly causes: CauseCount;
  readonly io: IoCount;
  readonly eventfds: EventfdCount;
  readonly qemuEvents: QemuEventCount;
  readonly vms: VmInfo;
}

export interface Snapshot {
  readonly exits: Rows<ExitCount>;
  readonly durations: readonly ExitDuration[];
  readonly unpaired: readonly UnpairedCount[];
  readonly outside: readonly OutsideTime[];
  readonly causes: readonly CauseCount[];
  readonly io: readonly IoCount[];
  readonly eventfds: readonly EventfdCount[];
  readonly tracepoints: readonly NamedCount[];
  readonly qemuEvents: readonly QemuEventCount[];
  readonly vms: readonly VmInfo[];
  readonly sources: readonly SourceState[];
  /** Events of vCPU threads that belong to no VM known. */
  readonly unattributedEvents: number;
  /** Where the series are limited, see limit-series.ts. */
  readonly series?: SeriesUse;
}
