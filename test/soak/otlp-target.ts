/**
 * Receives the agent's OTLP: an OpenTelemetry Collector with an exporter for Prometheus, if build/test/support/peers
 * has built one, else the receiver of the tests.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/free-port.js';
import { isMissing, VERSIONS } from '../support/peers/binaries.js';
import { startPeer } from '../support/peers/peer-process.js';
import { metricOf, startReceiver } from '../support/prometheus/otlp-receiver.js';

export interface OtlpTarget {
  readonly name: string;
  /** Value of the agent's `--otlp.endpoint`. */
  readonly endpoint: string;
  /** Port I/O exits to QEMU by VM, as received last; meant for each minute. */
  exits(): Promise<ReadonlyMap<string, number>>;
}

export async function startOtlpTarget(folder: string): Promise<OtlpTarget> {
  return isMissing('otelcol') ? startTestReceiver() : startCollector(folder);
}

async function startCollector(folder: string): Promise<OtlpTarget> {
  const [port, exporterPort] = [await freePort(), await freePort()];
  const config = join(folder, 'collector.yml');
  // JSON is YAML.
  const text = JSON.stringify({
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    // The figures of VMs that have ended are kept to the end of the soak.
    exporters: { prometheus: { endpoint: `127.0.0.1:${exporterPort}`, metric_expiration: '24h' } },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: { metrics: { receivers: ['otlp'], exporters: ['prometheus'] } },
    },
  });
  writeFileSync(config, text);
  const endpoint = `http://127.0.0.1:${port}`;
  await startPeer('otelcol', ['--config', config], `${endpoint}/`);
  return {
    name: `an OpenTelemetry Collector ${VERSIONS.collector}`,
    endpoint,
    async exits() {
      const lines = await (await fetch(`http://127.0.0.1:${exporterPort}/metrics`)).text();
      const byVm = new Map<string, number>();
      for (const [, labels = '', value] of lines.matchAll(/^kvm_exits_total\{(.*)\} (\S+)/gm))
        if (labels.includes('layer="qemu"') && labels.includes('reason="KVM_EXIT_IO"'))
          add(byVm, /\bvm="([^"]*)"/.exec(labels)?.[1], Number(value));
      return byVm;
    },
  };
}

async function startTestReceiver(): Promise<OtlpTarget> {
  const receiver = await startReceiver();
  const latest = new Map<string, number>();
  return {
    name: 'the receiver of the tests, because no OpenTelemetry Collector is built here',
    endpoint: `http://127.0.0.1:${receiver.port}`,
    async exits() {
      for (const request of receiver.requests.splice(0)) {
        const byVm = new Map<string, number>();
        for (const { attributes, value } of metricOf(request, 'kvm.exits')?.points ?? [])
          if (attributes.layer === 'qemu' && attributes.reason === 'KVM_EXIT_IO') add(byVm, attributes.vm, value);
        for (const [vm, exits] of byVm) latest.set(vm, exits);
      }
      return latest;
    },
  };
}

/** The series of a VM are those of its vCPUs. */
function add(byVm: Map<string, number>, vm = '', exits: number): void {
  byVm.set(vm, (byVm.get(vm) ?? 0) + exits);
}
