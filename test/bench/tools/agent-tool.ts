/** This program, scraped as often as Prometheus does by default. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/agent.js';
import { alternate, type Cost, costOf, SETTLE_MS, type Switch, switchOf, type Tool } from './measure.js';

/** The agent's code is compiled meanwhile, several times: what counts is what it costs all day. Scrapes too, so there are many. */
const WARM_UP_S = 80;
/** Then as Prometheus scrapes by default. The looks at the beginning and the end are scrapes as well. */
const SCRAPES = 2;
const SCRAPE_MS = 15_000;

/** Started once and kept, at rest between its rounds. */
export function agentTool(args: readonly string[], warmUpS = WARM_UP_S): Tool {
  let started: Promise<Warm> | undefined;
  return async (load) => {
    started ??= startWarm(args, warmUpS).then(async (warm) => {
      await warm.onAndOff.off();
      return warm;
    });
    const { cost, onAndOff } = await started;
    // The turns are its warm-up: it has been at rest, and some of its memory may be gone.
    const slowdown = await alternate(load, onAndOff);
    await onAndOff.on();
    await sleep(SETTLE_MS);
    const own = await cost();
    await onAndOff.off();
    return { ...slowdown, ...own };
  };
}

export interface Warm {
  readonly onAndOff: Switch;
  /** Looks on for half a minute. */
  cost(): Promise<Cost>;
}

/** Started and compiled under whatever load there is; on. */
export async function startWarm(args: readonly string[], warmUpS = WARM_UP_S): Promise<Warm> {
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
  const cost = () =>
    costOf(pid, counts, async () => {
      for (let scrape = 1; scrape <= SCRAPES; scrape++) {
        await sleep(SCRAPE_MS);
        if (scrape < SCRAPES) await counts();
      }
    });
  return { onAndOff: switchOf(agent.instance, pid), cost };
}
