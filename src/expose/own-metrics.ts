import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';

/** Of prom-client's defaults these say `_total` of gauges, which promtool rightly dislikes. */
const MISNAMED = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total'];

/** The agent's own process: CPU, memory, event loop, garbage collection. */
export function registerProcessMetrics(registry: Registry): void {
  // How often the event loop is woken to measure its delay: the default, 10 ms, costs more than all else of an idle
  // agent.
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
