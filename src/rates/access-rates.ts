import type { IoCount } from '../snapshot/tables/io.js';
import { OTHER } from '../trace/names.js';
import type { VmCounts } from './observation.js';
import { type Period, rise } from './period.js';

/** Accesses of a VM to a port, or to an MMIO page, in a period. */
export interface AccessRate extends Pick<IoCount, 'layer' | 'bus' | 'direction' | 'address'> {
  /** Null if it is not known. */
  readonly device: string | null;
  /** In the period. */
  readonly accesses: number;
  readonly accesses_per_second: number | null;
}

/** Accesses to a device, or to an address where the device is not known, in both directions. */
export interface DeviceRate extends Omit<AccessRate, 'direction'> {
  /** The busiest address; `other` for the sum of the addresses that are not listed one by one. */
  readonly address: string;
}

/** Addresses with accesses in the period: those answered in QEMU first, and of them the busiest ones. */
export function accessRates(newer: VmCounts, older: VmCounts | undefined, period: Period): AccessRate[] {
  return [...newer.io]
    .flatMap(([key, { layer, bus, direction, address, device, count }]) => {
      const accesses = rise(count, older?.io.get(key)?.count);
      if (accesses === 0) return [];
      const perSecond = period.perSecond(accesses);
      return [{ layer, bus, direction, address, device: device || null, accesses, accesses_per_second: perSecond }];
    })
    .sort(compare);
}

/** @param rates in the order of {@link accessRates} */
export function deviceRates(rates: readonly AccessRate[], period: Period): DeviceRate[] {
  const devices = new Map<string, DeviceRate>();
  for (const { direction: _, ...rate } of rates) {
    const key = `${rate.layer}\0${rate.device ?? `${rate.bus}\0${rate.address}`}`;
    const known = devices.get(key) ?? { ...rate, accesses: 0 };
    const accesses = known.accesses + rate.accesses;
    devices.set(key, { ...known, accesses, accesses_per_second: period.perSecond(accesses) });
  }
  return [...devices.values()].sort(compare);
}

const LAYERS: Readonly<Record<IoCount['layer'], number>> = { qemu: 0, unknown: 1, kvm: 2 };

type Compared = Pick<AccessRate, 'layer' | 'address' | 'accesses'>;

/** What nothing is known about comes after the rest of its layer. */
function compare(a: Compared, b: Compared): number {
  return (
    LAYERS[a.layer] - LAYERS[b.layer] ||
    Number(a.address === OTHER) - Number(b.address === OTHER) ||
    b.accesses - a.accesses
  );
}
