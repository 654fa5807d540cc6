/**
 * Metrics of the agent's own process and build, for receivers that do not scrape /metrics. They have the names of
 * OpenTelemetry's semantic conventions (1.37) where these define them, and else the names of /metrics.
 */
import { readdirSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { NumberMetric, Sample } from '../../snapshot/metric.js';
import { longestStall, peakMemory, virtualMemory } from '../own-process.js';

/** @param withProcess false to leave out all but the build, as `--web.disable-exporter-metrics` does */
export function agentMetrics(version: string, withProcess: boolean): readonly NumberMetric[] {
  const build = gauge(
    'kvm_exit_exporter_build_info',
    'Version of the agent and of Node.js; always 1.',
    { name: 'kvm_exit_exporter.build_info', unit: '{agent}' },
    () => [[[version, process.version], 1]],
    ['version', 'node'],
  );
  return withProcess ? [build, ...PROCESS_METRICS] : [build];
}

export const PROCESS_METRICS: readonly NumberMetric[] = [
  {
    name: 'process_cpu_time_seconds_total',
    type: 'counter',
    help: 'CPU time of the agent; process_cpu_seconds_total of /metrics is the sum of both modes.',
    labels: ['cpu.mode'],
    otel: { name: 'process.cpu.time', unit: 's' },
    read() {
      const { user, system } = process.cpuUsage();
      return [
        [['user'], user / 1e6],
        [['system'], system / 1e6],
      ];
    },
  },
  gauge(
    'process_memory_usage_bytes',
    'Resident memory of the agent; process_resident_memory_bytes of /metrics.',
    { name: 'process.memory.usage', unit: 'By' },
    () => one(process.memoryUsage.rss()),
  ),
  gauge(
    'process_memory_virtual_bytes',
    'Virtual memory of the agent.',
    { name: 'process.memory.virtual', unit: 'By' },
    () => one(virtualMemory()),
  ),
  gauge(
    'process_unix_file_descriptor_count',
    'Files that the agent has open.',
    { name: 'process.unix.file_descriptor.count', unit: '{file_descriptor}' },
    () => one(openFiles()),
  ),
  gauge('process_uptime_seconds', 'Time since the agent started.', { name: 'process.uptime', unit: 's' }, () =>
    one(process.uptime()),
  ),
  {
    name: 'nodejs_eventloop_time_seconds_total',
    type: 'counter',
    help: 'Time that the event loop worked, and that it waited for something to do.',
    labels: ['nodejs.eventloop.state'],
    otel: { name: 'nodejs.eventloop.time', unit: 's' },
    read() {
      const { active, idle } = performance.eventLoopUtilization();
      return [
        [['active'], active / 1000],
        [['idle'], idle / 1000],
      ];
    },
  },
  gauge(
    'kvm_exit_exporter_event_loop_max_stall_seconds',
    'Longest time in the last one or two minutes for which one piece of work kept the agent from everything else.',
    { name: 'kvm_exit_exporter.event_loop.max_stall', unit: 's' },
    () => one(longestStall().stall),
  ),
  gauge(
    'kvm_exit_exporter_event_loop_max_work_seconds',
    'The part of kvm_exit_exporter_event_loop_max_stall_seconds that was CPU time, and not a wait.',
    { name: 'kvm_exit_exporter.event_loop.max_work', unit: 's' },
    () => one(longestStall().work),
  ),
  gauge(
    'kvm_exit_exporter_max_resident_memory_bytes',
    'Peak of the resident memory since the start.',
    { name: 'kvm_exit_exporter.max_resident_memory', unit: 'By' },
    () => one(peakMemory()),
  ),
];

function gauge(
  name: string,
  help: string,
  otel: NumberMetric['otel'],
  read: () => Iterable<Sample>,
  labels: readonly string[] = [],
): NumberMetric {
  return { name, type: 'gauge', help, labels, otel, read };
}

/** The sample of a metric without labels; none while its value is NaN, not known. */
function one(value: number): readonly Sample[] {
  return Number.isNaN(value) ? [] : [[[], value]];
}

function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return Number.NaN;
  }
}
