/** The measurements of a soak: a scrape and a look at /proc each second, summarized in rows of a minute. */
import { readdirSync, readFileSync } from 'node:fs';
import type { RunningAgent } from '../support/agent/start-agent.js';
import { median } from '../support/median.js';
import { Samples } from '../support/prometheus/samples.js';

/** Prefix of the names of this soak's VMs, because other VMs may run on the host. */
export const VM_PREFIX = `soak-${process.pid}-`;

/** The agent at one moment. */
export interface Observation {
  readonly samples: Samples;
  readonly scrapeMs: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly fileDescriptors: number;
  /** Series of this soak's VMs. */
  readonly series: number;
}

/** Summary of a minute, or of a shorter interval in a short soak. */
export interface Row {
  /** Seconds from the start of the soak to the end of this row. */
  readonly seconds: number;
  /** VMs started so far. */
  readonly vms: number;
  readonly scrapes: number;
  readonly slowestScrapeMs: number;
  /** Median. */
  readonly residentBytes: number;
  /** Median. */
  readonly fileDescriptors: number;
  /** Median. */
  readonly series: number;
  /** Minimum, which is the size of the heap after a garbage collection. */
  readonly heapBytes: number;
  /** Total since the start of the agent. */
  readonly events: number;
  /** Total since the start of the agent. */
  readonly eventsLost: number;
  /** Total since the start of the agent. */
  readonly cpuSeconds: number;
}

export async function observe(agent: RunningAgent): Promise<Observation> {
  const startMs = performance.now();
  const text = await (await fetch(agent.url)).text();
  const scrapeMs = performance.now() - startMs;
  const samples = new Samples(text);
  const pid = agent.process.pid ?? 0;
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return {
    samples,
    scrapeMs,
    residentBytes: Number(kib) * 1024,
    heapBytes: samples.sum('nodejs_heap_size_used_bytes'),
    fileDescriptors: readdirSync(`/proc/${pid}/fd`).length,
    series: samples.all.filter(({ labels }) => labels.get('vm')?.startsWith(VM_PREFIX)).length,
  };
}

export function summarize(observations: readonly Observation[], seconds: number, vms: number): Row {
  const last = observations.at(-1)?.samples;
  const total = (name: string) => last?.sum(name) ?? Number.NaN;
  return {
    seconds,
    vms,
    scrapes: observations.length,
    slowestScrapeMs: Math.max(...observations.map(({ scrapeMs }) => scrapeMs)),
    residentBytes: median(observations.map(({ residentBytes }) => residentBytes)),
    fileDescriptors: median(observations.map(({ fileDescriptors }) => fileDescriptors)),
    series: median(observations.map(({ series }) => series)),
    heapBytes: Math.min(...observations.map(({ heapBytes }) => heapBytes)),
    events: total('kvm_exit_exporter_events_total'),
    eventsLost: total('kvm_exit_exporter_lost_events_total'),
    cpuSeconds: total('process_cpu_seconds_total'),
  };
}
