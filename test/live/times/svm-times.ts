/**
 * Runs every scenario on a host whose guests raise kvm_exit and kvm_entry; svm-times.test.ts runs it in an emulated
 * host. The exit code is 1 if a share is wrong. The agent is started before the guests, because enabling a tracepoint
 * while vCPUs run can crash an emulated host.
 */
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { runScenario, SCENARIOS } from './scenarios.js';

const PATIENCE_MS = 120_000;
const HOST = { tellsKvm: true, outsideShare: 0.5, seconds: 20, warmUpSeconds: 10 };

const agent = await startAgent({ timeoutMs: PATIENCE_MS });
for (const scenario of SCENARIOS) {
  try {
    const shares = await runScenario(scenario, agent, HOST);
    console.log([`ok ${scenario.name}`, ...shares].join('\n  '));
  } catch (error) {
    console.log(`not ok ${scenario.name}\n  ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
await endAll();
