/** What a soak looks at: each second by a scrape and /proc, put together in rows. */
import { readdirSync, readFileSync } from 'node:fs';
import type { RunningAgent } from '../support/agent/agent.js';
import { Samples } from '../support/prometheus/samples.js';

/** Of all VMs here: there may be others on the host, of other tests. */
export const PREFIX = `soak-${process.pid}-`;

/** A moment. */
export interface Look {
  readonly samples: Samples;
  readonly scrapeMs: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly handles: number;
  /** Of our VMs. */
  readonly series: number;
}

/** A minute, or what a shorter run has instead. */
export interface Row {
  /** Since the start, at its end. */
  readonly seconds: number;
  /** VMs that were started, and ended by themselves, so far. */
  readonly vms: number;
  readonly scrapes: number;
  readonly slowestScrapeMs: number;
  /** Medians. */
  readonly residentBytes: number;
  readonly handles: number;
  readonly series: number;
  /** The least that was seen: what is left where rubbish was just collected. */
  readonly heapBytes: number;
  /** So far. */
  readonly events: number;
  readonly eventsLost: number;
  readonly cpuSeconds: number;
}

export async function look(agent: RunningAgent): Promise<Look> {
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
    handles: readdirSync(`/proc/${pid}/fd`).length,
    series: samples.all.filter(({ labels }) => labels.get('vm')?.startsWith(PREFIX)).length,
  };
}

export function rowOf(looks: readonly Look[], seconds: number, vms: number): Row {
  const last = looks.at(-1)?.samples;
  const sumOf = (name: string) => last?.sum(name) ?? Number.NaN;
  return {
    seconds,
    vms,
    scrapes: looks.length,
    slowestScrapeMs: Math.max(...looks.map(({ scrapeMs }) => scrapeMs)),
    residentBytes: median(looks.map(({ residentBytes }) => residentBytes)),
    handles: median(looks.map(({ handles }) => handles)),
    series: median(looks.map(({ series }) => series)),
    heapBytes: Math.min(...looks.map(({ heapBytes }) => heapBytes)),
    events: sumOf('kvm_exit_exporter_events_total'),
    eventsLost: sumOf('kvm_exit_exporter_lost_events_total'),
    cpuSeconds: sumOf('process_cpu_seconds_total'),
  };
}

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
