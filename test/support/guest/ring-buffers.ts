/** The kernel's own account of a tracing instance: what was written to its ring buffers. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TRACEFS } from '../agent/start-agent.js';

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

/** An id that no thread can have: the kernel's PID_MAX_LIMIT is 4,194,304. */
const IMPOSSIBLE_TID = 4_194_305;

/**
 * Stops further events from being written to the instance, so that its statistics stand still while other VMs of this
 * host go on. The events stay enabled, with a filter that matches no thread, because the agent reacts to events that
 * are switched off.
 */
export function stopRecording(instance: string): void {
  writeFileSync(join(TRACEFS, 'instances', instance, 'events/kvm/filter'), `common_pid == ${IMPOSSIBLE_TID}`);
}
