/** This program, scraped as often as Prometheus does by default. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent.js';
import { type Tool, watch } from './measure.js';

/** The agent's code is compiled meanwhile, several times: what counts is what it costs all day. */
const WARM_UP_MS = 35_000;
const SCRAPE_MS = 15_000;

export function agentTool(args: readonly string[]): Tool {
  return async (load) => {
    const agent = await startAgent({ args });
    const scrapes = setInterval(() => agent.scrape().catch(() => {}), SCRAPE_MS);
    try {
      await sleep(WARM_UP_MS);
      return await watch(load, agent.process.pid ?? 0, async () => {
        const samples = await agent.scrape();
        return {
          events: samples.sum('kvm_exit_exporter_events_total'),
          lost: samples.sum('kvm_exit_exporter_lost_events_total'),
        };
      });
    } finally {
      clearInterval(scrapes);
      await agent.stop();
    }
  };
}
