import { setImmediate as nextTurn } from 'node:timers/promises';
import { Agent } from '../../agent/agent.js';
import type { AgentOptions } from '../../agent/options.js';
import { AgentError } from '../../system/errors.js';

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Counts the exits of this host's VMs while `work` runs, and leaves the host as it was. No signal ends the program
 * meanwhile: what it means is decided by `work`. A signal that comes before `work` ends the program without it.
 * @throws AgentError if the rights or the kernel do not allow it
 */
export async function withAgent(options: AgentOptions, work: (agent: Agent) => Promise<void>): Promise<void> {
  const agent = new Agent(options);
  const stop = new AbortController();
  let signals = 0;
  const count = () => {
    signals++;
  };
  for (const signal of ENDING) process.on(signal, count);
  // If the program ends in any other way, as when its terminal is gone, the host is left as it was all the same.
  const close = () => agent.close();
  process.once('exit', close);
  try {
    agent.open();
    if (agent.notReady !== undefined) throw new AgentError(agent.notReady);
    await nextTurn();
    if (signals > 0) return;
    const running = agent.run(stop.signal);
    try {
      await Promise.race([work(agent), running.then(() => Promise.reject(new Error('the agent has ended')))]);
    } finally {
      stop.abort();
      await running;
    }
  } finally {
    process.off('exit', close);
    agent.close();
    for (const signal of ENDING) process.off(signal, count);
  }
}
