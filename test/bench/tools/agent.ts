/** This program, scraped as often as Prometheus does by default. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent.js';
import { type Tool, watch } from './measure.js';

/** The agent's code is compiled meanwhile, several times: what counts is what it costs all day. Scrapes too, so there are many. */
const WARM_UP_S = 80;
/** Then as Prometheus scrapes by default. The looks at the beginning and the end are scrapes as well. */
const SCRAPES = 2;
const SCRAPE_MS = 15_000;

export function agentTool(args: readonly string[], warmUpS = WARM_UP_S): Tool {
  return async (load) => {
    const agent = await startAgent({ args });
    try {
      for (let second = 0; second < warmUpS; second++) {
        await sleep(1000);
        await agent.scrape();
      }
      const counts = async () => {
        const samples = await agent.scrape();
        return {
          events: samples.sum('kvm_exit_exporter_events_total'),
          lost: samples.sum('kvm_exit_exporter_lost_events_total'),
        };
      };
      return await watch(load, agent.process.pid ?? 0, counts, async () => {
        for (let scrape = 1; scrape <= SCRAPES; scrape++) {
          await sleep(SCRAPE_MS);
          if (scrape < SCRAPES) await agent.scrape();
        }
      });
    } finally {
      await agent.stop();
    }
  };
}
