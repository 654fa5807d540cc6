/** This program as a tool to measure, scraped as often as Prometheus does by default. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/start-agent.js';
import {
  type Attachable,
  attachable,
  type Cost,
  measureCost,
  measureSlowdown,
  SETTLE_MS,
  type Tool,
} from './measure.js';

/**
 * Seconds of warm-up, with a scrape in each. V8 compiles the agent's code several times meanwhile, and the agent's cost
 * over a day is that of the final code.
 */
const WARM_UP_S = 80;
/** Intervals to measure. The agent is scraped at the start and at the end of each. */
const INTERVALS = 2;
/** Prometheus' default scrape interval. */
const SCRAPE_INTERVAL_MS = 15_000;

/** The agent with these arguments. It is started once and stopped (SIGSTOP) between its rounds. */
export function agentTool(args: readonly string[], warmUpS = WARM_UP_S): Tool {
  let started: Promise<WarmAgent> | undefined;
  return async (load) => {
    started ??= startWarmAgent(args, warmUpS).then(async (agent) => {
      await agent.tracing.detach();
      return agent;
    });
    const { measureCost, tracing } = await started;
    // Measuring the slowdown also warms the agent up again: while it was stopped, its memory may have been swapped out.
    const slowdown = await measureSlowdown(load, tracing);
    await tracing.attach();
    await sleep(SETTLE_MS);
    const cost = await measureCost();
    await tracing.detach();
    return { ...slowdown, ...cost };
  };
}

export interface WarmAgent {
  readonly tracing: Attachable;
  /** Measures the agent for half a minute. */
  measureCost(): Promise<Cost>;
}

/** Starts an agent and warms it up under the load that there is. It is attached then. */
export async function startWarmAgent(args: readonly string[], warmUpS = WARM_UP_S): Promise<WarmAgent> {
  const agent = await startAgent({ args });
  const counts = async () => {
    const samples = await agent.scrape();
    return {
      events: samples.sum('kvm_exit_exporter_events_total'),
      lost: samples.sum('kvm_exit_exporter_lost_events_total'),
    };
  };
  for (let second = 0; second < warmUpS; second++) {
    await sleep(1000);
    await counts();
  }
  const pid = agent.process.pid ?? 0;
  const measure = () =>
    measureCost(pid, counts, async () => {
      for (let interval = 1; interval <= INTERVALS; interval++) {
        await sleep(SCRAPE_INTERVAL_MS);
        if (interval < INTERVALS) await counts();
      }
    });
  return { tracing: attachable(agent.instance, pid), measureCost: measure };
}
