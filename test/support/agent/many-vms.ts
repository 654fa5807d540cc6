/** The web server with many VMs that never existed: their counters rise with the clock. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { recorderOf } from '../../../src/commands/serving/record-history.js';
import { PrometheusView } from '../../../src/expose/prometheus.js';
import { History } from '../../../src/history/history.js';
import { VmRates } from '../../../src/rates/vm-rates.js';
import type { Snapshot } from '../../../src/snapshot/snapshot.js';
import { AllowedHosts } from '../../../src/web/access/allowed-hosts.js';
import { WebConfigFile } from '../../../src/web/access/web-config-file.js';
import { webApp } from '../../../src/web/web-app.js';
import { endLater } from '../end-later.js';
import { emptySnapshot } from './empty-snapshot.js';
import { findingOf } from './example-finding.js';
import { vcpuTimes } from './vcpu-times.js';
import { vmInfo } from './vm-info.js';

const SOURCE = { source: 'tracefs', up: true, events: 1, drains: 1, drainSeconds: 1, lost: [], malformed: [] };

export interface ManyVms {
  readonly url: string;
  /** Exits per second to KVM of each VM. A tenth of them reach QEMU. */
  readonly rates: ReadonlyMap<string, number>;
}

/** @param names the n-th VM has (n * 37 mod 101) * 100 exits to KVM per second */
export async function serveManyVms(names: readonly string[]): Promise<ManyVms> {
  const rates = new Map(names.map((vm, index) => [vm, ((index * 37) % 101) * 100]));
  const startMs = performance.now();
  // An observation and the counters in it have the same time, so that rates are exact on a busy machine, too.
  let nowMs = startMs;
  const findings = names.slice(0, 2).map(findingOf);
  const takeSnapshot = (): Snapshot => {
    const seconds = (nowMs - startMs) / 1000;
    return {
      ...emptySnapshot(),
      sources: [SOURCE],
      vms: names.map((vm) => vmInfo({ vm, vcpus: 1 })),
      exits: [...rates].flatMap(([vm, rate]) => [
        { vm, vcpu: '0', layer: 'kvm' as const, reason: 'npf', count: rate * seconds },
        { vm, vcpu: '0', layer: 'qemu' as const, reason: 'KVM_EXIT_IO', count: (rate * seconds) / 10 },
      ]),
      vcpuTimes: names.map((vm) =>
        vcpuTimes({
          vm,
          vcpu: '0',
          guestSeconds: 0.7 * seconds,
          kvmSeconds: 0.2 * seconds,
          qemuSeconds: 0.1 * seconds,
        }),
      ),
    };
  };
  const history = new History();
  const vmRates = new VmRates(takeSnapshot, {
    now: () => {
      nowMs = performance.now();
      return nowMs;
    },
    findings: () => findings,
    onObservation: recorderOf(history),
    intervalMs: 500,
    windowMs: 1000,
  });
  const file = new WebConfigFile(undefined);
  const app = webApp(
    {
      prometheus: new PrometheusView({ takeSnapshot, version: '0', process: false }),
      rates: vmRates,
      history,
      findings: () => findings,
      version: '0',
      telemetryPath: '/metrics',
      hosts: new AllowedHosts([]),
      maxRequests: 0,
      notReady: () => undefined,
    },
    () => file.current,
  );
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  vmRates.start();
  endLater(async () => {
    vmRates.stop();
    server.close();
    server.closeAllConnections();
  });
  // The first rates are known after the second observation, and no page has figures before.
  while (vmRates.current().seconds === null) await sleep(10);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, rates };
}
