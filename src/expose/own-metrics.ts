import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';

/** Default metrics of prom-client that are gauges with names of counters; `promtool check metrics` rejects those. */
const MISNAMED = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total'];

/** Registers metrics of the agent's own process: CPU, memory, event loop, garbage collection. */
export function registerProcessMetrics(registry: Registry): void {
  // Milliseconds between measurements of the event loop's delay. The default of 10 costs more CPU than everything else
  // in an idle agent.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1000 });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}

export function registerBuildInfo(registry: Registry, version: string): void {
  new Gauge({
    name: 'kvm_exit_exporter_build_info',
    help: 'Version of the agent and of Node.js; always 1.',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.version }, 1);
}
