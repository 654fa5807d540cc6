/**
 * Runs every scenario on a host whose guests raise kvm_exit and kvm_entry; svm-times.test.ts runs it in an emulated
 * host. The exit code is 1 if a share is wrong. The agent is started before the guests, because enabling a tracepoint
 * while vCPUs run can crash an emulated host.
 */
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { runScenario, SCENARIOS } from './scenarios.js';
import { TestTrace } from './traced-shares.js';

const PATIENCE_MS = 120_000;

/** The agent is as quick as it would be on a host with more CPUs. */
const PREFIX = ['nice', '-n', '-15', 'taskset', '-c', '0'];

const trace = new TestTrace();
const host = { tellsKvm: true, seconds: 30, warmUpSeconds: 8, trace };
const agent = await startAgent({ timeoutMs: PATIENCE_MS, prefix: PREFIX });
for (const scenario of SCENARIOS) {
  try {
    const shares = await runScenario(scenario, [agent], host);
    console.log([`ok ${scenario.name}`, ...shares].join('\n  '));
  } catch (error) {
    console.log(`not ok ${scenario.name}\n  ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
await endAll();
trace.close();
