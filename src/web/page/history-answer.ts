/** The answers of /api/history. A figure that is not known is null. */

export type Points = readonly (number | null)[];

/** The answer of /api/history: exits per second of every VM. */
export interface OverviewHistory {
  /** Seconds from each point to the latest one. */
  readonly seconds_ago: readonly number[];
  readonly vms: readonly { readonly vm: string; readonly kvm: Points; readonly qemu: Points }[];
}

export interface NamedPoints {
  /** `other` for all further names together. */
  readonly name: string;
  readonly values: Points;
}

/** The answer of /api/history?name=NAME. */
export interface VmHistoryAnswer {
  readonly vm: string;
  readonly seconds_ago: readonly number[];
  /** Exits per second by layer. */
  readonly exits: readonly NamedPoints[];
  /** Time of the vCPUs by state: 1 is the time of all of them. */
  readonly time_shares: readonly NamedPoints[];
  /** Exits per second. */
  readonly kvm_reasons: readonly NamedPoints[];
  readonly qemu_reasons: readonly NamedPoints[];
  /** Accesses per second that reached QEMU. */
  readonly devices: readonly NamedPoints[];
  /** Seconds. */
  readonly durations: readonly NamedPoints[];
  /** Exits per second. */
  readonly vcpus: readonly NamedPoints[];
  /** Reason there are no points; null if there are. */
  readonly missing: string | null;
}
