/** The kernel's own account of a tracing instance: what was written to its ring buffers. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RunningAgent, TRACEFS } from '../agent/start-agent.js';
import type { Samples } from '../prometheus/samples.js';

export interface RingBufferStats {
  /** Events that a reader has taken from the buffers, of all CPUs. */
  readonly read: number;
  /** Events in the buffers. */
  readonly waiting: number;
  /** Events that were overwritten or dropped. */
  readonly lost: number;
  /** Bytes of the events in the fullest buffer of one CPU. */
  readonly mostBytes: number;
}

/** Bytes of a sub-buffer, which a reader gets at once. */
export function subBufferBytes(instance: string): number {
  const file = join(TRACEFS, 'instances', instance, 'buffer_subbuf_size_kb');
  return existsSync(file) ? 1024 * Number(readFileSync(file, 'utf8')) : 4096;
}

export function ringBufferStats(instance: string): RingBufferStats {
  const folder = join(TRACEFS, 'instances', instance, 'per_cpu');
  const texts = readdirSync(folder).map((cpu) => readFileSync(join(folder, cpu, 'stats'), 'utf8'));
  const ofEach = (name: string) => texts.map((text) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1]));
  const sum = (name: string) => ofEach(name).reduce((all, count) => all + count, 0);
  return {
    read: sum('read events'),
    waiting: sum('entries'),
    lost: sum('overrun') + sum('dropped events'),
    mostBytes: Math.max(...ofEach('bytes')),
  };
}

/**
 * Waits until the agent has counted every event that the kernel's statistics show as read or lost, and then no more
 * exits of these VMs, which have ended. Other VMs of this host may go on.
 */
export async function scrapeAllEvents(agent: RunningAgent, ...vms: string[]): Promise<Samples> {
  let counted = Number.NaN;
  return agent.scrapeUntil('counted = read, and lost = overwritten', (samples) => {
    const own = (metric: string) => samples.sum(metric, { source: 'tracefs' });
    const { read, lost } = ringBufferStats(agent.instance);
    const before = counted;
    counted = vms.reduce((sum, vm) => sum + samples.sum('kvm_exits_total', { vm }), 0);
    const isEqual =
      own('kvm_exit_exporter_events_total') === read && own('kvm_exit_exporter_lost_events_total') === lost;
    return isEqual && counted === before;
  });
}
