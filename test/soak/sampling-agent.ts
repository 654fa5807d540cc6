/** A second agent, which counts frequent events in windows only. Exits to QEMU have to be exact all the same. */
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import type { Samples } from '../support/prometheus/samples.js';
import { collecting } from './forced-collection.js';
import type { Verdict } from './judge.js';

const WINDOW_SECONDS = 2;
const MAX_PERIOD_SECONDS = 60;
/** Estimates are a period late, and are added in the course of the next one. A busy machine adds seconds. */
const MAX_LATE_PERIODS = 3;
const MAX_LATE_SECONDS = 20;

export interface SamplingAgent {
  readonly agent: RunningAgent;
  readonly periodSeconds: number;
}

/** An hour has periods of a minute, and shorter soaks as many of them. */
export async function startSamplingAgent(seconds: number, args: readonly string[]): Promise<SamplingAgent> {
  const periodSeconds = Math.min(MAX_PERIOD_SECONDS, Math.max(2 * WINDOW_SECONDS, Math.round(seconds / 60)));
  const sampling = `--sampling=${WINDOW_SECONDS}s/${periodSeconds}s`;
  return { agent: await startAgent({ prefix: collecting(), args: [sampling, ...args] }), periodSeconds };
}

/**
 * Compares the estimated accesses of a VM of a steady rate to its port with those that the other agent has counted.
 * @param seconds since the start of the VM
 */
export function judgeEstimate(
  { periodSeconds }: SamplingAgent,
  samples: Samples,
  exact: Samples,
  vm: string,
  seconds: number,
): Verdict {
  const accessesIn = (each: Samples) => each.sum('kvm_io_exits_total', { vm, address: '0x80' });
  const [estimated, counted] = [accessesIn(samples), accessesIn(exact)];
  const lateSeconds = (1 - estimated / counted) * seconds;
  const allowed = MAX_LATE_PERIODS * periodSeconds + MAX_LATE_SECONDS;
  const fraction = samples.sum('kvm_exit_exporter_sampled_fraction');
  return {
    criterion: 'with sampling, the accesses of this VM to its port follow those that are counted',
    holds: fraction > 0 && fraction < 1 && estimated <= counted && lateSeconds <= allowed,
    figures: [
      `${estimated} of ${counted}, ${lateSeconds.toFixed(0)} s late (at most ${allowed} s)`,
      `all events are counted in ${(fraction * 100).toFixed(1)} % of the time`,
    ].join('; '),
  };
}
