/** Addresses at which a device answers, `last` included. */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
  readonly device: string;
}

/** The devices of one VM by address: sorted, without overlaps. */
export interface DeviceRanges {
  readonly ports: readonly AddressRange[];
  /** Guest physical addresses. */
  readonly memory: readonly AddressRange[];
}
