import { Agent, type AgentOptions } from '../agent.js';
import type { Invocation } from '../config/parse.js';
import { parseBytes, parseChoice, parseEvents, parseInstanceName, parseSeconds } from '../config/values.js';
import { httpApp } from '../expose/http.js';
import { PrometheusView } from '../expose/prometheus.js';
import { VERSION } from '../version.js';
import { serve } from './serve.js';

/** Follows the kernel's trace and serves /metrics, until told to stop. */
export async function run({ get }: Invocation): Promise<void> {
  const agent = new Agent(agentOptions(get));
  const prometheus = new PrometheusView(() => agent.ledger.snapshot(), VERSION);
  agent.open();
  try {
    const serving = await serve(httpApp({ prometheus, version: VERSION }), get('web.listen-address') ?? '');
    try {
      await agent.run(serving.signal);
    } finally {
      serving.close();
    }
  } finally {
    agent.close();
  }
}

export function agentOptions(get: Invocation['get']): AgentOptions {
  const events = get('tracefs.events');
  return {
    procfs: get('path.procfs') ?? '/proc',
    tracefs: get('path.tracefs'),
    instance: parseInstanceName('tracefs.instance', get('tracefs.instance') ?? ''),
    bufferSize: parseBytes('tracefs.buffer-size', get('tracefs.buffer-size') ?? ''),
    events: events === undefined ? undefined : parseEvents('tracefs.events', events),
    reader: parseChoice('tracefs.reader', get('tracefs.reader') ?? '', ['auto', 'binary', 'text']),
    graceMs: parseSeconds('vm.grace-period', get('vm.grace-period') ?? '') * 1000,
  };
}
