import { Agent } from '../../agent/agent.js';
import type { AgentOptions } from '../../agent/options.js';
import { AgentError } from '../../system/errors.js';

/**
 * Counts the exits of this host's VMs while `work` runs, and leaves the host as it was.
 * @throws AgentError if the rights or the kernel do not allow it
 */
export async function withAgent<Result>(
  options: AgentOptions,
  work: (agent: Agent) => Promise<Result>,
): Promise<Result> {
  const agent = new Agent(options);
  const stop = new AbortController();
  // If the program ends in any other way, as when its terminal is gone, the host is left as it was all the same.
  const close = () => agent.close();
  process.once('exit', close);
  try {
    agent.open();
    if (agent.notReady !== undefined) throw new AgentError(agent.notReady);
    const running = agent.run(stop.signal);
    try {
      return await Promise.race([work(agent), running.then(() => Promise.reject(new Error('the agent has ended')))]);
    } finally {
      stop.abort();
      await running;
    }
  } finally {
    process.off('exit', close);
    agent.close();
  }
}
