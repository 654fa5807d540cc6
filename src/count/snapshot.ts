/** What is known at one moment. Immutable: every view (Prometheus, OTLP, report) is a function of it. */

import type { MalformedKind } from '../trace-sink.js';

/** `kvm`: guest -> KVM. `qemu`: KVM -> userspace, the second leg of some of the same trips. Never to be added up. */
export type Layer = 'kvm' | 'qemu';

export interface ExitCount {
  /** '' where the thread could not be identified. */
  readonly vm: string;
  /** '' where not known. */
  readonly vcpu: string;
  readonly layer: Layer;
  readonly reason: string;
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

export interface VmInfo {
  readonly vm: string;
  readonly uuid: string;
  readonly pid: string;
  readonly vmm: string;
  /** `true` for what `demo` replays. */
  readonly demo: string;
  readonly vcpus: number;
}

export interface SourceState {
  readonly source: string;
  readonly up: boolean;
  readonly events: number;
  readonly drains: number;
  readonly drainSeconds: number;
  /** By host CPU, '' where the loss is not of one CPU. `events` undefined: gaps of unknown size. */
  readonly lost: readonly { readonly cpu: string; readonly events: number; readonly unknownGaps: number }[];
  readonly malformed: readonly { readonly kind: MalformedKind; readonly count: number }[];
}

export interface Snapshot {
  readonly exits: readonly ExitCount[];
  readonly tracepoints: readonly NamedCount[];
  readonly qemuEvents: readonly QemuEventCount[];
  readonly vms: readonly VmInfo[];
  readonly sources: readonly SourceState[];
  /** Events of vCPU threads that belong to no VM known. */
  readonly unattributedEvents: number;
}
