/** The times of vCPUs whose guests spend them in a known way. */
import { afterEach, test } from 'node:test';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { needsCpuCgroup } from '../../support/guest/cpu-quota.js';
import { liveTest } from '../../support/guest/live-test.js';
import { TELLS_KVM } from '../../support/guest/tells-kvm.js';
import { allOf } from '../../support/requirements.js';
import { runScenario, SCENARIOS } from './scenarios.js';

const HOST = { tellsKvm: TELLS_KVM, seconds: 15, warmUpSeconds: 3 };

afterEach(endAll);

for (const scenario of SCENARIOS.filter(({ traced }) => traced !== 'needed'))
  test(`${scenario.name}, with and without the kernel trace`, allOf(liveTest(), needsCpuCgroup()), async (t) => {
    const agents = await Promise.all([[], ['--no-collector.kernel']].map((args) => startAgent({ args })));
    for (const line of await runScenario(scenario, agents, HOST)) t.diagnostic(line);
    for (const agent of agents) await agent.stop();
  });
