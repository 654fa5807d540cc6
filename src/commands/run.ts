import { Agent } from '../agent/agent.js';
import { AutoPlan } from '../agent/sampling/auto-plan.js';
import { FixedPlan, type SamplingPlan } from '../agent/sampling/sampling-plan.js';
import type { Invocation } from '../config/parse-command-line.js';
import { agentOptions } from './live/agent-options.js';
import { createPodWatch } from './serving/create-pod-watch.js';
import { OtlpService } from './serving/export-over-otlp.js';
import { limitSeries } from './serving/limit-series.js';
import { AdviceWatch } from './serving/watch-advice.js';
import { prepareWebServer } from './serving/web-server.js';

/** Undefined if all events are always counted. */
function samplingPlan(get: Invocation['get']): SamplingPlan | undefined {
  const sampling = get('sampling');
  if (sampling === 'off') return undefined;
  if (sampling === 'auto') return new AutoPlan(get('sampling.budget'));
  const { windowSeconds, periodSeconds } = sampling;
  return new FixedPlan({ windowMs: windowSeconds * 1000, periodMs: periodSeconds * 1000 });
}

/** Counts the exits of this host's VMs and serves /metrics, until SIGTERM or SIGINT. */
export async function run(invocation: Invocation): Promise<void> {
  const { get } = invocation;
  const pods = createPodWatch(get);
  const agent = new Agent({ ...agentOptions(get), sampling: samplingPlan(get), podOf: pods?.podOf });
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
