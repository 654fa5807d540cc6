import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import { longestStall, peakMemory } from './own-process.js';

/** Default metrics of prom-client that are gauges with names of counters; `promtool check metrics` rejects those. */
const MISNAMED = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total'];
/** Default metrics that do not mean what they say; event-loop-stalls.ts explains it. */
const MISLEADING = ['', '_min', '_max', '_mean', '_stddev', '_p50', '_p90', '_p99'].map(
  (part) => `nodejs_eventloop_lag${part}_seconds`,
);
/** Milliseconds between the measurements of the latter, which go on. */
const UNUSED_PRECISION_MS = 3_600_000;

/** Registers metrics of the agent's own process: CPU, memory, event loop, garbage collection. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: UNUSED_PRECISION_MS });
  for (const name of [...MISNAMED, ...MISLEADING]) registry.removeSingleMetric(name);
  registerGauge(
    registry,
    'kvm_exit_exporter_event_loop_max_stall_seconds',
    'Longest time in the last one or two minutes for which one piece of work kept the agent from everything else.',
    () => longestStall().stall,
  );
  registerGauge(
    registry,
    'kvm_exit_exporter_event_loop_max_work_seconds',
    'The part of kvm_exit_exporter_event_loop_max_stall_seconds that was CPU time, and not a wait.',
    () => longestStall().work,
  );
  registerGauge(
    registry,
    'kvm_exit_exporter_max_resident_memory_bytes',
    'Peak of process_resident_memory_bytes since the start.',
    peakMemory,
  );
}

/** A gauge that is absent while its value is NaN: not known. */
function registerGauge(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      const current = value();
      if (Number.isNaN(current)) this.remove();
      else this.set(current);
    },
  });
}

export function registerBuildInfo(registry: Registry, version: string): void {
  new Gauge({
    name: 'kvm_exit_exporter_build_info',
    help: 'Version of the agent and of Node.js; always 1.',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.version }, 1);
}
