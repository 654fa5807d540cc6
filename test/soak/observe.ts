/** The measurements of a soak: a scrape and a look at /proc each second, summarized in rows of a minute. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningAgent } from '../support/agent/start-agent.js';
import { median } from '../support/median.js';
import { Samples } from '../support/prometheus/samples.js';

export const OBSERVE_INTERVAL_MS = 1000;

/** Prefix of the names of this soak's VMs, because other VMs may run on the host. */
export const VM_PREFIX = `soak-${process.pid}-`;

/** The agent at one moment. */
export interface Observation {
  readonly samples: Samples;
  readonly scrapeMs: number;
  readonly residentBytes: number;
  /** Memory of the agent that samples. */
  readonly samplingResidentBytes: number;
  /** Memory of `top`; NaN if it has ended. */
  readonly topResidentBytes: number;
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
  /** Median; the same holds for the next two. */
  readonly residentBytes: number;
  readonly samplingResidentBytes: number;
  readonly topResidentBytes: number;
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

export async function observe(agent: RunningAgent, samplingPid: number, topPid: number): Promise<Observation> {
  const startMs = performance.now();
  const text = await (await fetch(agent.url)).text();
  const scrapeMs = performance.now() - startMs;
  const samples = new Samples(text);
  const pid = agent.process.pid ?? 0;
  return {
    samples,
    scrapeMs,
    residentBytes: residentBytesOf(pid),
    samplingResidentBytes: residentBytesOf(samplingPid),
    topResidentBytes: residentBytesOf(topPid),
    heapBytes: samples.sum('nodejs_heap_size_used_bytes'),
    fileDescriptors: readdirSync(`/proc/${pid}/fd`).length,
    series: samples.all.filter(({ labels }) => labels.get('vm')?.startsWith(VM_PREFIX)).length,
  };
}

/** NaN if the process has ended. */
function residentBytesOf(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
  } catch {
    return Number.NaN;
  }
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
    samplingResidentBytes: median(observations.map(({ samplingResidentBytes }) => samplingResidentBytes)),
    topResidentBytes: median(observations.map(({ topResidentBytes }) => topResidentBytes)),
    fileDescriptors: median(observations.map(({ fileDescriptors }) => fileDescriptors)),
    series: median(observations.map(({ series }) => series)),
    heapBytes: Math.min(...observations.map(({ heapBytes }) => heapBytes)),
    events: total('kvm_exit_exporter_events_total'),
    eventsLost: total('kvm_exit_exporter_lost_events_total'),
    cpuSeconds: total('process_cpu_seconds_total'),
  };
}

const FINAL_COUNTS_MS = 30_000;

/**
 * The scrape for which `done` is true, or the last one after half a minute, for the verdicts to show what is wrong with
 * it.
 */
export async function scrapeUntil(agent: RunningAgent, done: (samples: Samples) => boolean): Promise<Samples> {
  const deadlineMs = performance.now() + FINAL_COUNTS_MS;
  for (;;) {
    const samples = await agent.scrape();
    if (done(samples) || performance.now() > deadlineMs) return samples;
    await sleep(OBSERVE_INTERVAL_MS);
  }
}
