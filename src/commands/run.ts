import { Agent } from '../agent/agent.js';
import type { FocusOptions } from '../agent/options.js';
import { AutoFocus } from '../agent/sampling/auto-focus.js';
import { AutoPlan } from '../agent/sampling/auto-plan.js';
import { FixedPlan, type SamplingPlan } from '../agent/sampling/sampling-plan.js';
import type { Invocation } from '../config/parse-command-line.js';
import { AgentError } from '../system/errors.js';
import { namePattern } from '../system/name-pattern.js';
import { agentOptions } from './live/agent-options.js';
import { createPodWatch } from './serving/create-pod-watch.js';
import { OtlpService } from './serving/export-over-otlp.js';
import { LimitedSnapshots, seriesLimits } from './serving/limited-snapshots.js';
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

/**
 * Undefined if no VM is to be in focus.
 * @throws AgentError if the other options do not allow it
 */
function focusOptions(get: Invocation['get'], advice: AdviceWatch): FocusOptions | undefined {
  const [patterns, maxVms] = [get('focus'), get('focus.auto')];
  if (patterns.length === 0 && maxVms === 0) return undefined;
  const option = patterns.length > 0 ? '--focus' : '--focus.auto';
  if (get('sampling') === 'off')
    throw new AgentError(
      `${option}: without --sampling, all events of all VMs are counted; leave it out, or give --sampling=2s/60s`,
    );
  if (get('tracefs.reader') === 'text')
    throw new AgentError(`${option}: --tracefs.reader=text reads one instance only; leave one of the two out`);
  const matchers = patterns.map(namePattern);
  const auto =
    maxVms > 0 ? new AutoFocus({ maxVms, budget: get('sampling.budget'), findings: () => advice.findings }) : undefined;
  return { isWanted: (label) => matchers.some((matches) => matches(label)), auto };
}

/** Counts the exits of this host's VMs and serves /metrics, until SIGTERM or SIGINT. */
export async function run(invocation: Invocation): Promise<void> {
  const { get } = invocation;
  const pods = createPodWatch(get);
  const advice = new AdviceWatch(get);
  const focus = focusOptions(get, advice);
  const options = agentOptions(get, focus === undefined ? 1 : 2);
  const agent = new Agent({ ...options, sampling: samplingPlan(get), focus, podOf: pods?.podOf });
  if (pods !== undefined) agent.ledger.addSource('kubernetes', pods.counts);
  const otlpService = new OtlpService(get);
  const snapshots = new LimitedSnapshots(seriesLimits(get), function* (isExported) {
    return otlpService.addTo(advice.addTo(yield* agent.snapshotSteps(isExported)));
  });
  const web = {
    takeSnapshot: snapshots.take,
    advice,
    changes: () => agent.changes,
    isSampled: get('sampling') !== 'off',
    notReady: () => agent.notReady,
  };
  const startWebServer = prepareWebServer(invocation, web);
  const otlp = await otlpService.start(snapshots);
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
