/** The kernel's own account of a tracing instance: what was written to its ring buffers. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RunningAgent, TRACEFS } from '../agent/start-agent.js';
import type { Samples } from '../prometheus/samples.js';

/** Sums over all CPUs. */
export interface RingBufferStats {
  /** Events that a reader has taken from the buffers. */
  readonly read: number;
  /** Events in the buffers. */
  readonly waiting: number;
  /** Events that were overwritten or dropped. */
  readonly lost: number;
}

export function ringBufferStats(instance: string): RingBufferStats {
  const folder = join(TRACEFS, 'instances', instance, 'per_cpu');
  const texts = readdirSync(folder).map((cpu) => readFileSync(join(folder, cpu, 'stats'), 'utf8'));
  const sum = (name: string) =>
    texts.reduce((all, text) => all + Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1]), 0);
  return { read: sum('read events'), waiting: sum('entries'), lost: sum('overrun') + sum('dropped events') };
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
