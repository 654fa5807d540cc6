import type { LedgerTotals } from '../../count/ledger-totals.js';
import type { VmTotals } from '../../count/totals/vm-totals.js';
import { type Bus, type Direction, decodeIoKey, type IoLayer } from '../../count/vcpu/io-keys.js';
import { deviceAt } from '../../count/vcpu/pc-devices.js';
import { OTHER } from '../../trace/names.js';
import { addCounts, cleared, kept, merged, RowTable, type VmRow } from './row-table.js';

/** Accesses to a port or to an MMIO page. */
export interface IoCount extends VmRow {
  /** `unknown` where the trace does not prove who answered. */
  readonly layer: IoLayer;
  readonly bus: Bus;
  readonly direction: Direction;
  /** A port, or the address of an MMIO page: `0x...`. `other` for all addresses without a series of their own. */
  readonly address: string;
  /** '' if it is not known. */
  readonly device: string;
  readonly count: number;
  /** Time that vCPUs were in QEMU for them; absent if it is not known. */
  readonly qemuSeconds?: number;
}

/** Accesses by address. */
export const IO = new RowTable<IoCount>({
  rows: (totals) => (totals.collectors.io ? [...totals.vms].flatMap(([vm, own]) => ioRows(totals, vm, own)) : []),
  labels: {
    layer: kept('layer'),
    bus: kept('bus'),
    direction: kept('direction'),
    address: merged('address'),
    device: cleared('device'),
  },
  // The time of a sum is not known, because it may lack that of some of its addresses.
  add: ({ qemuSeconds, ...a }, b) => addCounts(a, b),
  metrics: [
    {
      name: 'kvm_io_exits_total',
      type: 'counter',
      help:
        'Accesses of the guest to I/O ports and MMIO pages of 4 KiB. layer="kvm": answered in the kernel. layer="qemu": answered in ' +
        'userspace. layer="unknown": the trace does not prove which. The busiest addresses of each VM have series of their own; address="other" is the sum of all other addresses. ' +
        'device is empty where it is not known.',
      otel: { name: 'kvm.io.exits', unit: '{access}' },
      value: ({ count }) => count,
    },
  ],
});

function ioRows({ devicesOf, busiestKeys }: LedgerTotals, vm: string, totals: VmTotals): IoCount[] {
  const rows: IoCount[] = [];
  const devices = devicesOf(vm);
  const { series, rest } = busiestKeys(vm, totals);
  for (const [key, count] of series) {
    const { bus, direction, layer, address } = decodeIoKey(key);
    const device = deviceAt(bus === 'mmio', address, devices) || (totals.regionNames.get(address) ?? '');
    rows.push({
      vm,
      layer,
      bus,
      direction,
      address: `0x${address.toString(16)}`,
      device,
      count,
      ...timeOf(totals.ioNs.get(key)),
    });
  }
  rest.forEach((count, kind) => {
    const { bus, direction, layer } = decodeIoKey(kind);
    if (count > 0) rows.push({ vm, layer, bus, direction, address: OTHER, device: '', count });
  });
  return rows;
}

function timeOf(ns: number | undefined): Pick<IoCount, 'qemuSeconds'> {
  return ns === undefined ? {} : { qemuSeconds: ns * 1e-9 };
}
