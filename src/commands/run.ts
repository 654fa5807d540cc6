import { Agent } from '../agent/agent.js';
import type { Invocation } from '../config/parse-command-line.js';
import { agentOptions } from './live/agent-options.js';
import { createPodWatch } from './serving/create-pod-watch.js';
import { OtlpService } from './serving/export-over-otlp.js';
import { limitSeries } from './serving/limit-series.js';
import { AdviceWatch } from './serving/watch-advice.js';
import { prepareWebServer } from './serving/web-server.js';

/** Counts the exits of this host's VMs and serves /metrics, until SIGTERM or SIGINT. */
export async function run(invocation: Invocation): Promise<void> {
  const { get } = invocation;
  const pods = createPodWatch(get);
  const agent = new Agent({ ...agentOptions(get), podOf: pods?.podOf });
  if (pods !== undefined) agent.ledger.addSource('kubernetes', pods.counts);
  const advice = new AdviceWatch(get);
  const otlpService = new OtlpService(get);
  const takeSnapshot = limitSeries(get, (isExported) => otlpService.addTo(advice.addTo(agent.snapshot(isExported))));
  const startWebServer = prepareWebServer(invocation, { takeSnapshot, advice, notReady: () => agent.notReady });
  const otlp = await otlpService.start(takeSnapshot);
  agent.open();
  try {
    const server = await startWebServer();
    void pods?.run(server.signal);
    try {
      await agent.run(server.signal, otlp.freeze);
    } finally {
      server.close();
    }
  } finally {
    agent.close();
    await otlp.stop();
  }
}
