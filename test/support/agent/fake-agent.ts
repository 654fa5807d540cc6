/** A web server that answers as an agent of any number of VMs. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { VmDetail } from '../../../src/rates/vm-detail.js';
import type { CurrentRates } from '../../../src/rates/vm-rates.js';
import type { VmRow } from '../../../src/rates/vm-row.js';
import { endLater } from '../end-later.js';

const NO_TIMES = { guest: null, kvm: null, qemu: null, ready: null, idle: null, unknown: null };

/** A row in which nothing is known. */
export function vmRowOf(row: Partial<VmRow> & { readonly vm: string }): VmRow {
  return {
    vcpus: null,
    focused: false,
    kvm_exits_per_second: null,
    qemu_exits_per_second: null,
    share_reaching_qemu: null,
    io_exits_per_second: null,
    mmio_exits_per_second: null,
    halts_per_second: null,
    time_outside_guest: null,
    time_in_qemu: null,
    time_ready: null,
    time_shares: NO_TIMES,
    top_reason: null,
    top_device: null,
    finding: null,
    ...row,
  };
}

export function ratesOf(vms: readonly VmRow[]): CurrentRates {
  return {
    seconds: 10,
    vms,
    sampled_fraction: null,
    lost_events: 0,
    lost_events_per_second: 0,
    sources: [{ source: 'tracefs', up: true }],
  };
}

/** VM number 1 has most exits to QEMU and fewest to KVM. */
export function manyVms(count: number): VmRow[] {
  return Array.from({ length: count }, (_, index) =>
    vmRowOf({
      vm: `vm-${index + 1}`,
      vcpus: 4,
      kvm_exits_per_second: 10_000 + index,
      qemu_exits_per_second: 5000 - index,
      share_reaching_qemu: (5000 - index) / (10_000 + index),
      time_shares: { guest: 0.5, kvm: 0.2, qemu: 0.1, ready: 0.05, idle: 0.15, unknown: 0 },
      top_reason: { layer: 'qemu', reason: 'KVM_EXIT_IO', exits_per_second: 5000 - index, seconds_per_second: 0.4 },
      top_device: { layer: 'qemu', device: 'ide1', bus: 'pio', address: '0x1f7', accesses_per_second: 4000 },
      finding: { advice: 'emulated-disk', title: 'The guest drives an emulated disk', severity: 'warning', cost: 0.4 },
    }),
  );
}

export function detailOf(vm: VmRow): VmDetail {
  const none = { rows: [], more: 0 };
  return {
    seconds: 10,
    sampled_fraction: null,
    vm,
    vcpus: { rows: [{ vcpu: '0', kvm_exits_per_second: 1, qemu_exits_per_second: 2, time_shares: null }], more: 3 },
    reasons: {
      rows: [
        {
          ...{ layer: 'qemu', reason: 'KVM_EXIT_IO', exits: 1234, exits_per_second: 123.4, seconds_per_second: 0.25 },
          ...{ sampling_error: null, mean_seconds: 0.002, p50_seconds: 0.001, p99_seconds: 0.03 },
        },
      ],
      more: 0,
    },
    causes: none,
    devices: none,
    accesses: none,
    purposes: none,
    findings: none,
  };
}

export interface FakeAgent {
  readonly url: string;
  readonly requests: string[];
  stop(): Promise<void>;
}

/** @param port 0 for any */
export async function startFakeAgent(
  answer: (path: string) => unknown = answersOf(manyVms(100)),
  port = 0,
): Promise<FakeAgent> {
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    requests.push(request.url ?? '');
    const json = answer(request.url ?? '');
    response.statusCode = json === undefined ? 404 : 200;
    response.end(typeof json === 'string' ? json : JSON.stringify(json));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const forget = endLater(stop);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async stop() {
      forget();
      await stop();
    },
  };
}

export function answersOf(vms: readonly VmRow[]): (path: string) => unknown {
  return (path) => {
    if (path === '/api/vms') return ratesOf(vms);
    const name = new URLSearchParams(path.split('?')[1]).get('name');
    const vm = vms.find((row) => row.vm === name);
    return path.startsWith('/api/vm?') && vm !== undefined ? detailOf(vm) : undefined;
  };
}
